"""Commands about flavors, keypairs, servers, groups, hosts, quotas.

What it is: the life of a server from a flavor to its deletion, and what an operator looks at. The
image is `{guest}`: one that boots, or with the fake driver any bytes.
Called by `osc.py`; the vocabulary is in `osc_steps`.
"""

import base64
import hashlib

from osc_steps import (Step, above, both, count, has, includes, lacks, like, no_row, row,
                       says)

# A public key in the right form; nobody has the private half.
KEY_BYTES = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(range(32))
KEY = "ssh-ed25519 " + base64.b64encode(KEY_BYTES).decode() + " conformance"
DIGEST = hashlib.md5(KEY_BYTES).hexdigest()
FINGERPRINT = ":".join(DIGEST[at:at + 2] for at in range(0, 32, 2))
CREATE = "server create --image {guest-image} --nic none --wait "


def prepare(home):
    """Writes the public key into the directory of this run."""
    (home / "key.pub").write_text(KEY + "\n")


def becomes(status, **fields):
    """Waits until the server has a status."""
    return Step("server show {server}", has(status=status, **fields), until=True)


def first(column):
    """For `keep`: a column of the first row."""
    return lambda result: result.data[0][column]


FLAVORS = [
    Step("versions show --service compute", row(**{"Service_Type": "compute",
                                                   "Status": "CURRENT"})),
    Step("image create --disk-format {guest_format} --container-format bare --file {guest} "
         "{guest-image}", has(name="{guest-image}"), keep={"guest_image_id": "id"}),
    Step("flavor create --ram 128 --disk 1 --vcpus 1 --property osc:kind=small "
         "--description d {small}",
         has(name="{small}", ram=128, disk=1, vcpus=1, properties=includes(**{
             "osc:kind": "small"})), keep={"small_id": "id"}),
    Step("flavor create --id {big-id} --ram 192 --disk 1 --vcpus 1 {big}",
         has(id="{big-id}", ram=192)),
    Step("flavor create --ram 128 --disk 1 --vcpus 1 {small}", fails="409|already exists"),
    Step("flavor list", both(row(Name="{small}", RAM=128, VCPUs=1), row(ID="{big-id}"))),
    Step("flavor list --long --all", row(Name="{small}")),
    Step("flavor show {small}", has(id="{small_id}", description="d")),
    Step("flavor set --property osc:more=yes {small}"),
    Step("flavor show {small}", has(properties=includes(**{
        "osc:kind": "small", "osc:more": "yes"}))),
    Step("flavor unset --property osc:kind --property osc:more {small}"),
    Step("flavor show {small_id}", has(properties=lacks("osc:kind", "osc:more"))),
    Step("flavor set --description e {small}"),
    Step("flavor show {small}", has(description="e")),
    Step("flavor create --ram 128 --disk 0 --vcpus 4000 {huge}", has(vcpus=4000)),

    Step("keypair create --public-key {home}/key.pub {key}",
         has(name="{key}", fingerprint=FINGERPRINT)),
    Step("keypair list", row(Name="{key}", Fingerprint=FINGERPRINT)),
    Step("keypair show {key}", has(name="{key}", type="ssh", fingerprint=FINGERPRINT)),
    Step("keypair show --public-key {key}", says(KEY[:60].replace("+", "[+]")), plain=True),
    Step("keypair create {made-key}", says("BEGIN OPENSSH PRIVATE KEY"), plain=True),
    Step("keypair list", row(Name="{made-key}")),
    Step("keypair delete {made-key}"),
    Step("keypair list", no_row(Name="{made-key}")),
]

SERVERS = [
    Step(CREATE + "--flavor {small} --key-name {key} --property a=b --description d "
         "--use-config-drive {server}",
         has(name="{server}", status="ACTIVE", key_name="{key}", properties={"a": "b"},
             config_drive="True", image="{guest-image} ({guest_image_id})",
             flavor=includes(ram=128, vcpus=1)), keep={"server_id": "id"}),
    Step("server list", row(ID="{server_id}", Name="{server}", Status="ACTIVE",
                            Image="{guest-image}", Flavor="{small}", Networks={})),
    Step("server list --all-projects --name {server}", count(1)),
    Step("server list --status ACTIVE --flavor {small} --image {guest-image}", count(1)),
    Step("server list --long", row(ID="{server_id}")),
    Step("server list --status SHUTOFF", no_row(ID="{server_id}")),
    Step("server list --limit 1", count(1)),
    Step("server show {server}", has(id="{server_id}", description="d", locked=False)),
    Step("server show nothing-of-that-name", fails="No Server found"),
    Step("server event list {server}", row(Action="create", **{"Server_ID": "{server_id}"}),
         keep={"request_id": lambda result: result.data[-1]["Request ID"]}),
    Step("server event show {server} {request_id}",
         has(action="create", request_id="{request_id}")),
    Step("console log show {server}"),
    Step("console log show --lines 5 {server}"),

    Step("server set --property c=d {server}"),
    Step("server unset --property a {server}"),
    becomes("ACTIVE", properties={"c": "d"}),
    Step("server set --tag blue --tag red {server}"),
    Step("server unset --tag red {server}"),
    becomes("ACTIVE", tags=["blue"]),
    Step("server list --tags blue", count(1, ID="{server_id}")),
    Step("server set --name {renamed} --description other {server}"),
    Step("server show {renamed}", has(id="{server_id}", description="other")),
    Step("server set --name {server} {server_id}"),
    Step("server lock --reason drill {server}"),
    becomes("ACTIVE", locked=True),
    Step("server unlock {server}"),
    becomes("ACTIVE", locked=False),

    Step("server pause {server}"),
    becomes("PAUSED"),
    Step("server pause {server}", fails="409|paused"),
    Step("server unpause {server}"),
    becomes("ACTIVE"),
    Step("server suspend {server}"),
    becomes("SUSPENDED"),
    Step("server resume {server}"),
    becomes("ACTIVE"),
    Step("server stop {server}"),
    becomes("SHUTOFF"),
    Step("server stop {server}", fails="409|stopped"),
    Step("server start {server}"),
    becomes("ACTIVE"),
    Step("server reboot --soft --wait {server}"),
    becomes("ACTIVE"),
    Step("server reboot --hard --wait {server}"),
    becomes("ACTIVE"),
    Step("server resize --flavor {big} --wait {server}"),
    becomes("VERIFY_RESIZE"),
    Step("server resize confirm {server}"),
    becomes("ACTIVE", flavor=includes(ram=192)),
    Step("server stop {server}"),
    becomes("SHUTOFF"),
    Step("server start {server}"),
    becomes("ACTIVE"),
    Step("server resize --flavor {small} --wait {server}"),
    Step("server resize revert {server}"),
    becomes("ACTIVE", flavor=includes(ram=192)),
    Step("server event list {server}", both(*(row(Action=action) for action in (
        "create", "pause", "unpause", "suspend", "resume", "stop", "start", "reboot", "resize",
        "confirmResize", "revertResize", "lock", "unlock")))),

    Step("server create --image {guest-image} --flavor {small} --nic none --min 2 --max 2 "
         "--wait {many}"),
    # The client waits for the first of several only.
    Step("server list --name {many}", count(2, Status="ACTIVE"), until=True),
    Step("server delete --wait {many}-1 {many}-2"),
    Step("server list --name {many}", count(0)),
    Step("server create --image {guest-image} --flavor {small} --nic auto --wait {online}",
         has(status="ACTIVE")),
    Step("server delete --wait {online}"),
    Step("server create --image {guest-image} --flavor {small} --nic none "
         "--availability-zone no-such-zone {refused}", fails="zone"),
    Step("server create --image {guest-image} --flavor {huge} --nic none {refused}",
         fails="[Qq]uota exceeded for cores"),
    Step("server create --image {guest-image} --flavor no-such-flavor --nic none {refused}",
         fails="No Flavor found"),
    Step("server list", no_row(Name="{refused}")),

    Step("server group create --policy anti-affinity {group}",
         has(name="{group}", policy="anti-affinity", members=[]), keep={"group_id": "id"}),
    Step("server group list", row(ID="{group_id}", Name="{group}", Policy="anti-affinity")),
    Step(CREATE + "--flavor {small} --hint group={group_id} {grouped}", has(status="ACTIVE"),
         keep={"grouped_id": "id"}),
    Step("server group show {group}", has(members=lambda seen: len(seen) == 1)),
    Step("server delete --wait {grouped}"),
    Step("server group show {group_id}", has(members=[])),
    Step("server group delete {group}"),
    Step("server group list", no_row(ID="{group_id}")),

    Step("server delete --wait {server}"),
    Step("server show {server_id}", fails="No Server found"),
    Step("server list", no_row(ID="{server_id}")),
    Step("server list --deleted --all-projects", row(ID="{server_id}")),
    Step("keypair delete {key}"),
]

OPERATOR = [
    Step("availability zone list --compute", row(**{"Zone_Status": "available"}),
         keep={"zone": first("Zone Name")}),
    Step("hypervisor list", row(State="up"), keep={"hypervisor": first("Hypervisor Hostname")}),
    Step("hypervisor show {hypervisor}",
         has(hypervisor_hostname="{hypervisor}", state="up", status="enabled")),
    Step("compute service list", row(Binary="nova-compute", Status="enabled", State="up"),
         keep={"host": lambda result: [one["Host"] for one in result.data
                                       if one["Binary"] == "nova-compute"][0]}),
    Step("compute service set --disable --disable-reason drill {host} nova-compute"),
    Step("compute service list --long --service nova-compute", row(
        Host="{host}", Status="disabled", **{"Disabled_Reason": "drill"})),
    Step("compute service set --enable {host} nova-compute"),
    Step("compute service list --service nova-compute --host {host}",
         count(1, Status="enabled")),
    Step("limits show --absolute", row(Name=like("(?i)instances"), Value=above(0))),
    Step("extension list --compute", says("Alias")),

    Step("project create {quota-project}", has(enabled=True), keep={"quota_project_id": "id"}),
    Step("quota show", row(Resource="instances", Limit=above(0))),
    Step("quota show --default {quota-project}", row(Resource="cores", Limit=above(0))),
    Step("quota set --instances 21 --cores 43 --ram 9999 --key-pairs 7 {quota-project}"),
    Step("quota show {quota-project}", both(
        row(Resource="instances", Limit=21), row(Resource="cores", Limit=43),
        row(Resource="ram", Limit=9999), row(Resource="key-pairs", Limit=7))),
    Step("quota show --usage {quota-project}", row(Resource="instances", **{"In_Use": 0})),
    Step("quota set --instances -5 {quota-project}", fails="400|[Ii]nvalid|must be"),
    Step("quota delete --compute {quota-project}"),
    Step("quota show {quota-project}", no_row(Resource="instances", Limit=21)),
    Step("project delete {quota-project}"),

    Step("aggregate create --property disk=ssd {aggregate}", has(name="{aggregate}")),
    Step("aggregate list --long", row(Name="{aggregate}")),
    Step("aggregate add host {aggregate} {host}", has(hosts=["{host}"])),
    Step("aggregate show {aggregate}", has(properties=includes(disk="ssd"))),
    Step("aggregate set --property disk=hdd {aggregate}"),
    Step("aggregate remove host {aggregate} {host}", has(hosts=[])),
    Step("aggregate delete {aggregate}"),
    Step("aggregate list", no_row(Name="{aggregate}")),

    Step("flavor delete {small} {big} {huge}"),
    Step("flavor list", both(no_row(Name="{small}"), no_row(ID="{big-id}"))),
    Step("flavor show {small_id}", fails="No Flavor found"),
    Step("image delete {guest-image}"),
]

STEPS = [*FLAVORS, *SERVERS, *OPERATOR]


def up_again(result, _names):
    """The last thing the console tells is that the guest is up, not that it goes down."""
    up, down = (result.output.rfind(f"luc-guest: {what}")
                for what in ("user space is up", "going down"))
    return None if up > down else f"the console ends with {result.output[-200:]!r}"


# With an image that boots (guest/make-image): what its console says over a stop, a start and a
# reboot.
GUEST = [
    Step("image create --disk-format {guest_format} --container-format bare --file {guest} "
         "{real-image}", has(name="{real-image}")),
    Step("flavor create --ram 128 --disk 1 --vcpus 1 {real-flavor}", has(ram=128)),
    Step("server create --image {real-image} --flavor {real-flavor} --nic none "
         "--use-config-drive --wait {real}", has(status="ACTIVE"), keep={"real_id": "id"}),
    Step("console log show {real}",
         says("luc-guest: user space is up hostname={real} uuid={real_id} "), until=True,
         plain=True),
    Step("server stop {real}"),
    Step("server show {real}", has(status="SHUTOFF"), until=True),
    Step("console log show {real}", says("luc-guest: going down for poweroff"), plain=True),
    Step("server start {real}"),
    Step("server show {real}", has(status="ACTIVE"), until=True),
    Step("console log show {real}", up_again, until=True, plain=True),
    Step("server reboot --soft --wait {real}"),
    Step("console log show {real}", up_again, until=True, plain=True),
    Step("server reboot --hard --wait {real}"),
    Step("server show {real}", has(status="ACTIVE"), until=True),
    Step("server delete --wait {real}"),
    Step("flavor delete {real-flavor}"),
    Step("image delete {real-image}"),
]
