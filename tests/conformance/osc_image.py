"""Commands about images: data up and down, properties, tags, visibility, protection.

Called by `osc.py`; the vocabulary is in `osc_steps`.
"""

import hashlib
from pathlib import Path

from osc_steps import Step, both, count, has, holds, includes, lacks, no_row, row

SIZE = 300_001
# Bytes that follow a rule, so that no random source decides whether a check passes.
DATA = bytes((at * at + at // 251) % 256 for at in range(SIZE))
HASHES = {"os_hash_algo": "sha512", "os_hash_value": hashlib.sha512(DATA).hexdigest()}


def prepare(home):
    """Writes the image's data into the directory of this run."""
    (home / "data.img").write_bytes(DATA)


def downloaded(_result, names):
    """What `image save` wrote is what was uploaded."""
    saved = Path(names["home"], "saved.img").read_bytes()
    return None if saved == DATA else f"{len(saved)} bytes came back, other than those sent"


STEPS = [
    Step("versions show --service image", row(**{"Service_Type": "image", "Status": "CURRENT"})),
    Step("image create --disk-format raw --container-format bare --file {home}/data.img "
         "--property os=tiny --tag old --min-disk 1 --min-ram 64 {image}",
         has(name="{image}", disk_format="raw", container_format="bare", min_disk=1, min_ram=64,
             visibility="shared", protected=False, tags=holds("old")),
         keep={"image_id": "id"}),
    Step("image show {image}",
         has(id="{image_id}", status="active", size=SIZE,
             checksum=hashlib.md5(DATA).hexdigest(), properties=includes(os="tiny", **HASHES))),
    Step("image list", row(ID="{image_id}", Name="{image}", Status="active")),
    Step("image list --long --name {image}", count(1, Size=SIZE, **{"Disk_Format": "raw"})),
    Step("image list --tag old --name {image}", count(1)),
    Step("image list --property os=tiny", row(ID="{image_id}")),
    Step("image list --status queued", no_row(ID="{image_id}")),
    Step("image list --limit 1", count(1)),
    Step("image list --sort name:desc", row(ID="{image_id}")),
    Step("image save --file {home}/saved.img {image}", downloaded, plain=True),
    Step("image set --property os=small --property color=red --tag new --min-ram 96 {image}"),
    Step("image show {image_id}",
         has(min_ram=96, tags=holds("old", "new"), properties=includes(os="small", color="red"))),
    Step("image unset --property color --tag old {image}"),
    Step("image show {image}", both(has(tags=lacks("old"), properties=lacks("color")),
                                    has(properties=includes(os="small", **HASHES)))),
    Step("image set --name {image2} {image}"),
    Step("image show {image2}", has(id="{image_id}")),
    Step("image set --public {image2}"),
    Step("image list --public", row(ID="{image_id}")),
    Step("image set --private {image2}"),
    Step("image list --private", row(ID="{image_id}")),
    Step("image set --protected {image2}"),
    Step("image delete {image2}", fails="protected|403"),
    Step("image set --unprotected {image2}"),
    Step("image create --disk-format qcow2 --container-format bare {empty}",
         has(name="{empty}", status="queued"), keep={"empty_id": "id"}),
    Step("image show nothing-of-that-name", fails="No Image found"),
    Step("image delete {image2} {empty}"),
    Step("image show {image_id}", fails="No Image found"),
    Step("image list", both(no_row(ID="{image_id}"), no_row(ID="{empty_id}"))),
]
