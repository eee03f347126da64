"""What was published of studies that are deleted: a copy follows its folder."""

import optuna

from orchestrator.errors import OrchestrateError, Unavailable
from orchestrator.observers.copy_owner import FOLDER, UUID, CopyOwner
from orchestrator.observers.database_file import DatabaseFile
from orchestrator.observers.optuna import connect, root_cause
from orchestrator.support.secrets import Secrets, hide_passwords


def remove_copies(url: str, owner: CopyOwner) -> list[str]:
    """Delete what `owner`, a study whose folder was deleted, has in the database at this URL, also under earlier names.

    Returns the names. A file that is not there is not made. Raises Unavailable, or DiskError.
    """
    if DatabaseFile(url).is_missing():
        return []
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        storage = connect(url)
        try:
            found = {
                study._study_id: study.study_name
                for study in storage.get_all_studies()
                if owner.was_published_as(study.study_name, study.user_attrs.get(UUID), str(study.user_attrs.get(FOLDER, "")))
            }
            for study_id in found:
                storage.delete_study(study_id)
        finally:
            storage.engine.dispose()
    except OrchestrateError:
        raise
    except Exception as error:
        why = Secrets(url).hide(root_cause(error))
        raise Unavailable(f"the database {hide_passwords(url)} cannot be used: {why}") from error
    return list(found.values())
