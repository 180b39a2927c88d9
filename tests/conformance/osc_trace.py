"""The commands of the client's wire trace, in its order, and those whose service is not there yet.

What it is: the short list by which the client was traced on the wire. Its server, image and
flavor have the names of the trace made unique.
Called by `osc.py`; the vocabulary is in `osc_steps`.
"""

from osc_steps import Step, both, has, no_row, row, says

NO_NETWORK = "network.*(not present|not found|not there yet)"
NO_VOLUME = "(block-storage|volume).*(not present|not found|not there yet)"

STEPS = [
    Step("image create --disk-format {guest_format} --container-format bare --file {guest} "
         "{cirros}", has(name="{cirros}")),
    Step("flavor create --ram 128 --disk 1 --vcpus 1 {m1.tiny}", has(name="{m1.tiny}")),
    Step("token issue", says('"id"')),
    Step("catalog list", both(row(Type="identity"), row(Type="image"), row(Type="compute"))),
    Step("server create --image {cirros} --flavor {m1.tiny} --nic none {s} --wait",
         has(name="{s}", status="ACTIVE"), keep={"s_id": "id"}),
    Step("server list", row(ID="{s_id}", Name="{s}", Status="ACTIVE", Image="{cirros}",
                            Flavor="{m1.tiny}")),
    Step("server show {s}", has(id="{s_id}", status="ACTIVE", **{"OS-EXT-STS:vm_state": "active"})),
    Step("server add volume {s} v", fails=NO_VOLUME),
    Step("server list --all-projects", row(ID="{s_id}")),
    Step("server delete {s} --wait"),
    Step("server list", no_row(ID="{s_id}")),
    Step("image list", row(Name="{cirros}", Status="active")),
    Step("flavor list", row(Name="{m1.tiny}")),
    Step("keypair list", says(r"^\[")),
    Step("flavor delete {m1.tiny}"),
    Step("image delete {cirros}"),
]

ABSENT = [
    Step("network list", fails=NO_NETWORK),
    Step("router list", fails=NO_NETWORK),
    Step("floating ip list", fails=NO_NETWORK),
    Step("security group list", fails=NO_NETWORK),
    Step("volume create --size 1 {v}", fails=NO_VOLUME),
    Step("volume list", fails=NO_VOLUME),
    Step("volume snapshot list", fails=NO_VOLUME),
]
