"""Which account runs the servers. PostgreSQL refuses root, so root hands them to an account that exists already.

No account is made and no parent folder's mode is changed. Where the checkout lies under a folder which that account
cannot enter (/root with mode 700), the server runs in a user namespace of its own, or, where namespaces are not
allowed, as that account with the one capability it needs to reach its own files.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from labeling.core.errors import Unavailable


class Credentials(TypedDict, total=False):
    """The arguments of Popen that change who a child is."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True)
class Identity:
    """How to start a server: a command put before its own, and the account it runs as (None: ours)."""

    prefix: tuple[str, ...] = ()
    uid: int | None = None
    gid: int | None = None
    drop: bool = False  # Popen changes the account; otherwise `prefix` does

    def credentials(self) -> Credentials:
        """Arguments for Popen."""
        if not self.drop or self.uid is None or self.gid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, folder: Path) -> None:
        """Give `folder` and all below it to the account, when something there belongs to another."""
        if self.uid is None or self.gid is None or folder.stat().st_uid == self.uid:
            return
        os.chown(folder, self.uid, self.gid)
        for parent, folders, files in os.walk(folder):
            for name in (*folders, *files):
                os.chown(Path(parent, name), self.uid, self.gid, follow_symlinks=False)


def service_identity(program: Path, folder: Path) -> Identity:
    """The identity under which `program` can run with its data in `folder`; raises Unavailable with the mend."""
    if os.geteuid() != 0:
        return Identity()
    account = existing_account()
    tried = [
        Identity(uid=account.pw_uid, gid=account.pw_gid, drop=True),
        Identity(prefix=namespace_prefix(account), uid=0, gid=0),
        Identity(prefix=capability_prefix(account), uid=account.pw_uid, gid=account.pw_gid),
    ]
    for identity in tried:
        if can_run(identity, program, folder):
            return identity
    raise Unavailable(
        f"{program.name} refuses to run as root, and the account {account.pw_name!r} cannot reach {program} and "
        f"{folder}. Put the checkout into a folder that everybody may enter, or run as an ordinary user, or set "
        "DATABASE_URL and REDIS_URL to servers of your own."
    )


def existing_account() -> pwd.struct_passwd:
    """`postgres` where there is one, else `nobody`."""
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise Unavailable("Neither an account `postgres` nor `nobody` exists here: run as an ordinary user.")


def namespace_prefix(account: pwd.struct_passwd) -> tuple[str, ...]:
    """A command that shows root to its child as `account`, in a user namespace."""
    program = shutil.which("unshare")
    return (program, "--user", f"--map-user={account.pw_uid}", f"--map-group={account.pw_gid}", "--") if program else ()


def capability_prefix(account: pwd.struct_passwd) -> tuple[str, ...]:
    """A command that becomes `account` and keeps the right to pass through folders closed to it."""
    program = shutil.which("setpriv")
    if not program:
        return ()
    who = (f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups")
    right = ("--inh-caps=+dac_override", "--ambient-caps=+dac_override")
    asked = "--securebits=+no_setuid_fixup"  # access(2), by which initdb looks for its programs, counts the right too
    return (program, *who, *right, asked, "--pdeathsig=INT", "--")


def can_run(identity: Identity, program: Path, folder: Path) -> bool:
    """Whether this identity can start `program` and enter `folder` (which belongs to it by then)."""
    if not identity.drop and not identity.prefix:
        return False
    tests = ([str(program), "--version"], [shutil.which("test") or "/usr/bin/test", "-x", str(folder.parent)])
    for command in tests:
        try:
            done = subprocess.run(
                [*identity.prefix, *command], cwd="/", capture_output=True, check=False, **identity.credentials()
            )
        except OSError:
            return False
        if done.returncode:
            return False
    return True
