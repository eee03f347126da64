"""Runs jobs in Ray actors, on as many machines as a cluster has.

The conductor stays one process, and records alone. Commands and events travel as the lines of `wire`, one call at a time.
Machines come and go: a slot whose worker is lost is refilled as soon as there is room.
"""

import contextlib
import secrets
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, final

from orchestrator.errors import OrchestrateError, Unavailable
from orchestrator.executors import code_shipping, wire
from orchestrator.executors.devices import DeviceAssignment
from orchestrator.executors.ray_cluster import actor_variables, connect, new_folder, nodes, ray, reason
from orchestrator.executors.ray_placement import placement
from orchestrator.executors.ray_slot import RaySlot, answered, write_checkpoints
from orchestrator.executors.ray_worker import Opened, Probe, RayWorker, Said
from orchestrator.executors.wire import Grant, Stop
from orchestrator.jobs import Began, Event, Failed, Finished, Job, Paused, WorkerLost, with_log
from orchestrator.storage.run_folder import RunFolder
from orchestrator.support.activity import doing
from orchestrator.support.atomic_files import disk_errors
from orchestrator.support.disk_lookups import content

_SECONDS_TO_BEGIN = 120.0  # a worker: code is unpacked and torch imported, perhaps from a slow disk
_SECONDS_TO_FETCH = 60.0  # what a call returned: a checkpoint, at most
_SECONDS_BETWEEN_LOOKS = 2.0  # at the cluster's machines, while a slot is empty
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
        self._longest_outage = seconds_without_a_worker
        self._own = new_folder()
        self._probe = folder / f"probe-{secrets.token_hex(8)}"
        self._slots: list[RaySlot] = []
        self._lost: list[WorkerLost] = []  # workers that were ended here, to be reported with the next events
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
                "runtime_env": {"env_vars": actor_variables(self._placement.threads)},
            }
            self._new_actor = ray.remote(RayWorker).options(**options).remote
            self._settings = {
                "device": "cuda:0" if self._placement.gpu_share else "cpu",
                "threads": self._placement.threads,
                "data_folder": str(data_folder.resolve()),
            }
            self._room = 0
            self._looked = self._worked = self._crowded = time.monotonic()
            self._look()
            for index in range(self._placement.slots):
                log = (logs / f"worker-{index}.log").resolve()
                probe = Probe(file=str(self._probe.resolve()), content=content, log=str(log))
                self._slots.append(RaySlot(index, probe, self._new_actor(**self._settings)))
            with doing("waiting for the workers of the Ray cluster"):
                self._await_workers()
            self._begun = True
        except BaseException:
            self.close()
            raise

    @property
    def workers(self) -> int:
        """How many jobs can run at a time: one at least while any slot is in service, for an empty cluster is waited for.

        An empty slot does not count, whatever the machines could hold: others may be using them, and a trial that waits
        for a worker was asked for without what is found meanwhile.
        """
        return min(len(self._slots), max(sum(slot.opened for slot in self._slots), 1))

    def start(self, job: Job, avoid: int | None = None) -> int | None:
        """Hand the job to the first free worker that it need not avoid; None while no worker has started.

        Only workers that have started are considered: a machine that others use may never have room for another one.
        """
        begun = [slot for slot in self._slots if slot.opened]
        allowed = [slot for slot in begun if slot.index != avoid] or begun
        slot = next((slot for slot in allowed if slot.job is None), None)
        if slot is None:
            return None
        slot.job = job
        checkpoint = content(RunFolder(Path(job.folder)).last_checkpoint) if job.resume and not slot.shares_disk else None
        slot.send(job, checkpoint)
        return slot.index

    def grant(self, run_id: str, until_epoch: int) -> None:
        """Let the run train up to and including this epoch."""
        for slot in self._with(run_id):
            slot.send(Grant(run_id=run_id, until_epoch=until_epoch))
            slot.step()

    def stop(self, run_id: str, keep: bool = False) -> None:
        """End the run's job. Its worker is free at once, or once `Paused` came."""
        for slot in self._with(run_id):
            slot.send(Stop(run_id=run_id, keep=keep))
            if not keep:
                slot.job = None

    def replace(self, worker: int) -> None:
        """End the actor, also one that is stopped, and ask for another."""
        slot = self._dismiss(worker)
        slot.fill(self._new_actor(**self._settings))

    def retire(self, worker: int) -> None:
        """End the actor, and take its slot out of service."""
        self._slots.remove(self._dismiss(worker))

    def events(self, timeout: float) -> Sequence[Event]:
        """What the workers reported, and which of them were lost, since the last call."""
        happened: list[Event] = [*self._lost]
        self._lost.clear()
        for slot in self._slots:
            slot.continue_()
        calls = {slot.calls[0]: slot for slot in self._slots if slot.calls}
        for call in answered(list(calls), 0.0 if happened else timeout):
            happened += self._hear(calls[call])
        self._look_again()
        return happened

    def close(self) -> None:
        """End all workers: what they would still do could not be recorded any more."""
        for slot in self._slots:
            slot.kill()
        self._slots.clear()
        ray.shutdown()
        with contextlib.suppress(OSError):
            self._probe.unlink(missing_ok=True)
        shutil.rmtree(self._own, ignore_errors=True)

    def _with(self, run_id: str) -> list[RaySlot]:
        return [slot for slot in self._slots if slot.job is not None and slot.job.run_id == run_id]

    def _hear(self, slot: RaySlot) -> list[Event]:
        try:
            said = ray.get(slot.calls.popleft(), timeout=_SECONDS_TO_FETCH)
        except ray.exceptions.RayError as error:
            return [self._refill(slot, error)]
        if isinstance(said, Opened):
            slot.opens(said)
            if not said.shares_disk:
                self._say(
                    f"worker {slot.index} on {said.host} cannot see the runs folder; its checkpoints are sent to this machine"
                )
            elif self._begun:  # a slot that was empty at first may be filled before one whose worker was lost
                self._say(f"worker {slot.index} {'re' if slot.started > 1 else ''}started on {said.host}")
            return []
        slot.can_step = said.can_step
        return self._take(slot, said)

    def _take(self, slot: RaySlot, said: Said) -> list[Event]:
        """The events of a call; the checkpoints that belong to them are in the run's folder before any of them is returned."""
        job = slot.job
        events = []
        for line in said.events.splitlines():
            event = wire.EVENTS.decode(line)
            events.append(with_log(event, slot.log))
            if isinstance(event, Began):
                self._deaths_in_a_row = 0
            if job is None or (event.run_id, event.attempt) != (job.run_id, job.attempt):
                continue
            write_checkpoints(said.checkpoints, Path(job.folder))
            if isinstance(event, Finished | Failed | Paused):
                slot.job = None
        return events

    def _dismiss(self, index: int) -> RaySlot:
        slot = next(slot for slot in self._slots if slot.index == index)
        slot.kill()
        if slot.job is not None:  # an idle one was ended because somebody here asked for it
            self._lost.append(slot.lost(f"worker {index} on {slot.host} was ended"))
        slot.job = None
        return slot

    def _refill(self, slot: RaySlot, error: Exception) -> WorkerLost:
        slot.kill()  # whatever it was, nothing more may come from it
        lost = slot.lost(f"worker {slot.index} on {slot.host or 'its machine'} was lost ({reason(error)})")
        self._deaths_in_a_row += 1
        if self._deaths_in_a_row >= _DEATHS_BEFORE_GIVING_UP * len(self._slots):
            raise OrchestrateError(f"workers die before they begin a job ({lost.message}). The reason is in {slot.probe.log}")
        slot.fill(self._new_actor(**self._settings))
        self._look()
        return lost

    def _await_workers(self) -> None:
        """Wait for the workers that there is room for. Raises Unavailable when none started, OrchestrateError when none can."""
        deadline = time.monotonic() + self._seconds_to_begin
        while time.monotonic() < deadline:
            if sum(slot.opened for slot in self._slots) >= min(self._room, len(self._slots)):
                break
            beginning = {slot.calls[0]: slot for slot in self._slots if slot.calls}
            for call in answered(list(beginning), 1.0):
                self._hear(beginning[call])
        if not any(slot.opened for slot in self._slots):
            raise Unavailable(
                f"no worker ({self._needs()}) started within {self._seconds_to_begin:.0f} s; the cluster may be busy"
            )

    def _look_again(self) -> None:
        """Look at the cluster while slots are empty. Raises Unavailable when there was no worker for too long."""
        now = time.monotonic()
        if any(slot.opened for slot in self._slots):
            self._worked = now
        elif now - self._worked > self._longest_outage:
            raise Unavailable(
                f"no machine of the cluster had room for a worker ({self._needs()}) for {self._longest_outage:.0f} s. "
                "Everything is recorded; run the same command to resume"
            )
        if now - self._looked > _SECONDS_BETWEEN_LOOKS and not all(slot.opened for slot in self._slots):
            self._look()
            self._ask_again()

    def _ask_again(self) -> None:
        """Ask for another actor in a slot whose actor has not started although the machines could hold it: it may hang.

        Or others use the machines; then nothing is lost by it. A slot waits twice as long each time, so that an actor that is
        only slow starts at last.
        """
        now = time.monotonic()
        unused = self._room - sum(slot.opened for slot in self._slots)
        if unused <= 0:
            self._crowded = now
        beginning = sorted((slot for slot in self._slots if not slot.opened), key=lambda slot: slot.filled)
        for slot in beginning[: max(unused, 0)]:
            waited = now - max(slot.filled, self._crowded)
            if waited > self._seconds_to_begin * 2**slot.requests_repeated:
                self._say(
                    f"worker {slot.index} has not started within {waited:.0f} s, although the cluster has room for it. "
                    "Other jobs may be using that room; the worker is requested again"
                )
                slot.kill()
                slot.fill(self._new_actor(**self._settings), again=True)

    def _look(self) -> None:
        self._looked = time.monotonic()
        room, before = self._placement.room(nodes()), self._room
        asked = self._placement.slots
        self._room = room
        if min(room, asked) < min(before, asked) or (not before and room < asked):
            self._say(
                f"the cluster has room for {room} of the {asked} requested workers ({self._needs()} each). "
                "The study continues with these and adds workers when there is room"
            )

    def _needs(self) -> str:
        cores = f"{self._placement.threads} {'core' if self._placement.threads == 1 else 'cores'}"
        share = self._placement.gpu_share
        return f"{cores} and {'a' if share == 1 else share} GPU" if share else cores


def survey(address: str, *, device: str, workers: str, per_device: int) -> DeviceAssignment:
    """The workers that would start now; starts none. Raises InvalidInput or Unavailable."""
    own = new_folder()
    try:
        connect(address, own, {})
        found = nodes()
    finally:
        ray.shutdown()
        shutil.rmtree(own, ignore_errors=True)
    chosen = placement(found, device=device, workers=workers, per_device=per_device)
    return DeviceAssignment(
        devices=("cuda" if chosen.gpu_share else "cpu",) * min(chosen.slots, chosen.room(found)), threads=chosen.threads
    )
