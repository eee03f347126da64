"""Runs jobs in Ray actors, on as many machines as a cluster has.

The conductor stays one process. What it says and hears are the lines of `messages`, one call at a time; nothing that travels is
recorded by anybody else. Machines come and go: a place whose worker is lost is filled again as soon as there is room.
"""

import contextlib
import secrets
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

from orchestrator.errors import OrchestrateError, Unavailable
from orchestrator.executors import code_shipping, wire
from orchestrator.executors.devices import DeviceAssignment, worker_settings
from orchestrator.executors.ray_cluster import connect, nodes, ray, reason
from orchestrator.executors.ray_placement import placement
from orchestrator.executors.ray_worker import Opened, Probe, RayWorker, Said
from orchestrator.executors.wire import Command, Grant, Stop
from orchestrator.jobs import Began, Event, Failed, Finished, Job, Paused, WorkerLost
from orchestrator.storage.run_folder import RunFolder
from orchestrator.support.atomic_files import disk_errors, replace

_SECONDS_TO_BEGIN = 120.0  # a worker: code is unpacked and torch imported, perhaps from a slow disk
_SECONDS_TO_FETCH = 60.0  # what a call returned: a checkpoint, at most
_SECONDS_BETWEEN_PINGS = 1.0  # to a worker that has nothing to do
_SECONDS_WITHOUT_CALLS = 0.05  # before the next thing to do is looked for
_SECONDS_BETWEEN_LOOKS = 2.0  # at the cluster's machines, while a place is empty
_SECONDS_WITHOUT_A_WORKER = 300.0  # before a study gives up; a machine that reboots is back by then

# As for worker processes: more than the attempts at one job, because a job that kills all its workers is only its own failure.
_DEATHS_BEFORE_GIVING_UP = 5


@final
class RayActors:
    """Workers on the cluster at `address`, or on this machine alone when that is "".

    `folder` is the study's: workers that see it write their checkpoints there. `say` gets lines for the user.
    Raises InvalidInput, Unavailable, DiskError.
    """

    def __init__(
        self,
        *,
        address: str,
        device: str,
        workers: str,
        per_device: int,
        data_folder: Path,
        folder: Path,
        logs: Path,
        say: Callable[[str], None],
        seconds_without_a_worker: float = _SECONDS_WITHOUT_A_WORKER,
        seconds_to_begin: float = _SECONDS_TO_BEGIN,
    ) -> None:
        self._say = say
        self._seconds_to_begin = seconds_to_begin
        self._patience = seconds_without_a_worker
        self._own = Path(tempfile.mkdtemp(prefix="orchestrate-"))  # a short path: Ray puts sockets below it
        self._probe = folder / f"probe-{secrets.token_hex(8)}"
        self._places: list[_Place] = []
        self._lost: list[WorkerLost] = []  # what was ended here, to be told with the next events
        self._deaths_in_a_row = 0
        self._begun = False
        try:
            with disk_errors(f"write {logs}"):
                logs.mkdir(parents=True, exist_ok=True)
                content = secrets.token_hex(32)
                self._probe.write_text(content)
                code_shipping.gather(self._own / "code")
            connect(address, self._own, {"working_dir": str(self._own / "code")})
            self._placement = placement(nodes(), device=device, workers=workers, per_device=per_device)
            options: dict[str, Any] = {
                "num_cpus": self._placement.threads,
                "num_gpus": float(self._placement.gpu_share),
                "runtime_env": {"env_vars": worker_settings(self._placement.threads)},
            }
            self._hire = ray.remote(RayWorker).options(**options).remote
            self._settings = {
                "device": "cuda:0" if self._placement.gpu_share else "cpu",
                "threads": self._placement.threads,
                "data_folder": str(data_folder.resolve()),
            }
            self._room = 0
            self._looked = self._worked = self._crowded = time.monotonic()
            self._look()
            for index in range(self._placement.places):
                log = (logs / f"worker-{index}.log").resolve()
                probe = Probe(file=str(self._probe.resolve()), content=content, log=str(log))
                self._places.append(_Place(index, probe, self._hire(**self._settings)))
            self._await_workers()
            self._begun = True
        except BaseException:
            self.close()
            raise

    @property
    def workers(self) -> int:
        """How many jobs can run at a time: one at least while any place is in service, for an empty cluster is waited for.

        A place that is empty does not count, whatever the machines could hold: others may be using them, and a trial that waits
        for a worker was asked for without what is found meanwhile.
        """
        return min(len(self._places), max(sum(place.opened for place in self._places), 1))

    def start(self, job: Job, avoid: int | None = None) -> int | None:
        """Hand the job to the first free worker that it need not avoid; None while all that there are still begin.

        Only those that have begun are to be chosen among: a machine that others use may never have room for another one.
        """
        begun = [place for place in self._places if place.opened]
        allowed = [place for place in begun if place.index != avoid] or begun
        place = next((place for place in allowed if place.job is None), None)
        if place is None:
            return None
        place.job = job
        checkpoint = None
        if job.resume and not place.shares_disk:
            with contextlib.suppress(FileNotFoundError), disk_errors(f"read {job.folder}"):
                checkpoint = RunFolder(Path(job.folder)).last_checkpoint.read_bytes()
        place.send(job, checkpoint)
        return place.index

    def grant(self, run_id: str, until_epoch: int) -> None:
        """Let the run train up to and including this epoch."""
        for place in self._with(run_id):
            place.send(Grant(run_id=run_id, until_epoch=until_epoch))
            place.step()

    def stop(self, run_id: str, keep: bool = False) -> None:
        """End the run's job. Its worker is free at once, or once `Paused` came."""
        for place in self._with(run_id):
            place.send(Stop(run_id=run_id, keep=keep))
            if not keep:
                place.job = None

    def replace(self, worker: int) -> None:
        """End the actor, also one that is stopped, and ask for another."""
        place = self._dismiss(worker)
        place.fill(self._hire(**self._settings))

    def retire(self, worker: int) -> None:
        """End the actor, and ask for no other in its place."""
        self._places.remove(self._dismiss(worker))

    def events(self, timeout: float) -> Sequence[Event]:
        """What the workers said, and who was lost, since the last call."""
        happened: list[Event] = [*self._lost]
        self._lost.clear()
        for place in self._places:
            place.go_on()
        calls = {place.calls[0]: place for place in self._places if place.calls}
        for call in _answered(list(calls), 0.0 if happened else timeout):
            happened += self._hear(calls[call])
        self._look_again()
        return happened

    def close(self) -> None:
        """End all workers: what they would still do could not be recorded any more."""
        for place in self._places:
            place.kill()
        self._places.clear()
        ray.shutdown()
        with contextlib.suppress(OSError):
            self._probe.unlink(missing_ok=True)
        shutil.rmtree(self._own, ignore_errors=True)

    def _with(self, run_id: str) -> list["_Place"]:
        return [place for place in self._places if place.job is not None and place.job.run_id == run_id]

    def _hear(self, place: "_Place") -> list[Event]:
        try:
            said = ray.get(place.calls.popleft(), timeout=_SECONDS_TO_FETCH)
        except ray.exceptions.RayError as error:
            return [self._refill(place, error)]
        if isinstance(said, Opened):
            place.welcome(said)
            if not said.shares_disk:
                self._say(
                    f"worker {place.index} on {said.host} does not see the runs folder: its checkpoints travel to this machine"
                )
            elif self._begun:  # a place that was empty at the beginning may be filled before one that was lost
                self._say(f"worker {place.index} is there{' again' if place.welcomed > 1 else ''}, on {said.host}")
            return []
        place.can_step = said.can_step
        return self._take(place, said)

    def _take(self, place: "_Place", said: Said) -> list[Event]:
        """The events of a call; the checkpoints that they tell of lie in the run's folder before anybody hears them."""
        job = place.job
        events = []
        for line in said.events.splitlines():
            event = wire.EVENTS.decode(line)
            events.append(event)
            if isinstance(event, Began):
                self._deaths_in_a_row = 0
            if job is None or (event.run_id, event.attempt) != (job.run_id, job.attempt):
                continue
            _keep(said.checkpoints, Path(job.folder))
            if isinstance(event, Finished | Failed | Paused):
                place.job = None
        return events

    def _dismiss(self, index: int) -> "_Place":
        place = next(place for place in self._places if place.index == index)
        place.kill()
        self._lost.append(_lost(place, f"worker {index} on {place.host} was ended"))
        place.job = None
        return place

    def _refill(self, place: "_Place", error: Exception) -> WorkerLost:
        place.kill()  # whatever it was, nothing more may come from it
        lost = _lost(place, f"worker {place.index} on {place.host or 'its machine'} was lost ({reason(error)})")
        self._deaths_in_a_row += 1
        if self._deaths_in_a_row >= _DEATHS_BEFORE_GIVING_UP * len(self._places):
            raise OrchestrateError(f"workers die before they begin a job: {lost.message}; see {place.probe.log}")
        place.fill(self._hire(**self._settings))
        self._look()
        return lost

    def _await_workers(self) -> None:
        """Let those begin for whom there is room. Raises Unavailable when nobody could, OrchestrateError when nobody can."""
        deadline = time.monotonic() + self._seconds_to_begin
        while time.monotonic() < deadline:
            if sum(place.opened for place in self._places) >= min(self._room, len(self._places)):
                break
            beginning = {place.calls[0]: place for place in self._places if place.calls}
            for call in _answered(list(beginning), 1.0):
                self._hear(beginning[call])
        if not any(place.opened for place in self._places):
            raise Unavailable(
                f"no worker of {self._needs()} could begin on the cluster within {self._seconds_to_begin:.0f} s; is it busy?"
            )

    def _look_again(self) -> None:
        """Keep an eye on the cluster while places are empty. Raises Unavailable when there was nobody for too long."""
        now = time.monotonic()
        if any(place.opened for place in self._places):
            self._worked = now
        elif now - self._worked > self._patience:
            raise Unavailable(
                f"for {self._patience:.0f} s no machine of the cluster had room for a worker of {self._needs()}; "
                "nothing is lost, and the same command carries on"
            )
        if now - self._looked > _SECONDS_BETWEEN_LOOKS and not all(place.opened for place in self._places):
            self._look()
            self._ask_again()

    def _ask_again(self) -> None:
        """Ask for another actor in a place whose actor has not begun though the machines could hold it: it may hang.

        Or others use the machines; then nothing is lost by it. A place waits twice as long each time, so that an actor that is
        only slow begins at last.
        """
        now = time.monotonic()
        unused = self._room - sum(place.opened for place in self._places)
        if unused <= 0:
            self._crowded = now
        beginning = sorted((place for place in self._places if not place.opened), key=lambda place: place.filled)
        for place in beginning[: max(unused, 0)]:
            waited = now - max(place.filled, self._crowded)
            if waited > self._seconds_to_begin * 2**place.asked_again:
                self._say(
                    f"worker {place.index} has not begun within {waited:.0f} s, though the cluster has machines for it, which "
                    "others may be using; it is asked for again"
                )
                place.kill()
                place.fill(self._hire(**self._settings), again=True)

    def _look(self) -> None:
        self._looked = time.monotonic()
        room, before = self._placement.room(nodes()), self._room
        asked = self._placement.places
        self._room = room
        if min(room, asked) < min(before, asked) or (not before and room < asked):
            self._say(
                f"the cluster has room for {room} of the {asked} workers asked for, of {self._needs()} each; the study goes on "
                "with what there is, and takes more when it comes"
            )

    def _needs(self) -> str:
        cores = f"{self._placement.threads} {'core' if self._placement.threads == 1 else 'cores'}"
        share = self._placement.gpu_share
        return f"{cores} and {'a' if share == 1 else share} GPU" if share else cores


@final
class _Place:
    """A place for a worker: the actor that fills it now, the calls that it has not answered yet, and the job that it has."""

    def __init__(self, index: int, probe: Probe, actor: Any) -> None:
        self.index = index
        self.probe = probe
        self.welcomed = 0  # workers that have begun here, one after the other
        self.asked_again = 0  # times, because its actor did not begin
        self.job: Job | None = None
        self.calls: deque[Any] = deque()
        self.fill(actor)

    def fill(self, actor: Any, *, again: bool = False) -> None:
        """Take this actor, which may have to wait until the cluster has room for it; `again` when the last did not begin."""
        self._actor = actor
        self.opened, self.shares_disk, self.host = False, False, ""
        self.job, self.can_step = None, False
        self.asked_again = self.asked_again + 1 if again else 0
        self.calls = deque([actor.open.remote(self.probe)])
        self.filled = self._answered = time.monotonic()

    def welcome(self, opened: Opened) -> None:
        """It works now."""
        self.opened, self.shares_disk, self.host = True, opened.shares_disk, opened.host
        self.welcomed += 1

    def send(self, command: Command, checkpoint: bytes | None = None) -> None:
        """Say something; it is heard after everything said before."""
        self.calls.append(self._actor.obey.remote(wire.COMMANDS.encode(command), checkpoint))

    def step(self) -> None:
        """Let it train an epoch, if its job may."""
        self.calls.append(self._actor.step.remote())

    def go_on(self) -> None:
        """Give a worker that has answered everything the next thing to do. A loss is only noticed in an answer, hence pings."""
        if self.calls:
            self._answered = time.monotonic()
        elif self.can_step:
            self.step()
        elif time.monotonic() - self._answered > _SECONDS_BETWEEN_PINGS:
            self.calls.append(self._actor.ping.remote())

    def kill(self) -> None:
        """End the actor, whatever it does; its calls are forgotten."""
        self.calls.clear()
        self.opened = False
        ray.kill(self._actor)


def _answered(calls: list[Any], timeout: float) -> list[Any]:
    """Those that have an answer; waits up to `timeout` seconds for the first."""
    if not calls:  # all workers wait for a job
        time.sleep(min(timeout, _SECONDS_WITHOUT_CALLS))
        return []
    ended, _ = ray.wait(calls, num_returns=1, timeout=timeout)
    return list(ray.wait(calls, num_returns=len(calls), timeout=0.0)[0]) if ended else []


def _lost(place: _Place, message: str) -> WorkerLost:
    job = place.job
    if job is None:
        return WorkerLost(worker=place.index, message=message)
    return WorkerLost(worker=place.index, message=message, run_id=job.run_id, attempt=job.attempt)


def _keep(checkpoints: Mapping[str, bytes], folder: Path) -> None:
    """Write what has travelled. Raises DiskError."""
    run = RunFolder(folder)
    for file in (run.last_checkpoint, run.best_checkpoint):
        if file.name in checkpoints:
            with disk_errors(f"write {file}"):
                replace(file, checkpoints[file.name])


def survey(address: str, *, device: str, workers: str, per_device: int) -> DeviceAssignment:
    """The workers that would be hired now, found out without hiring any. Raises InvalidInput or Unavailable."""
    with tempfile.TemporaryDirectory(prefix="orchestrate-", ignore_cleanup_errors=True) as own:
        connect(address, Path(own), {})
        try:
            found = nodes()
        finally:
            ray.shutdown()
    chosen = placement(found, device=device, workers=workers, per_device=per_device)
    return DeviceAssignment(
        devices=("cuda" if chosen.gpu_share else "cpu",) * min(chosen.places, chosen.room(found)), threads=chosen.threads
    )
