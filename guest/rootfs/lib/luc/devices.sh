# Drivers and disks: which modules to load, where our own partition and the config drive are.
# Sourced by /init and by /sbin/luc-network.
#
# Drivers are loaded in sets, written by guest/make-image in the order of their dependencies:
# `disk` and `power` at once, `scsi` (slow to probe) only if no config drive was found without it,
# the file systems when a disk has them, `rest` after the guest is up.

# Loads what every guest needs to come up and to go down.
load_drivers() {
    load-modules /lib/modules/disk /lib/modules/power
}

# Mounts the partition that outlives a reboot on /data and counts the boots there. A guest whose
# disk cannot be written still comes up, with /data in memory.
mount_own_disk() {
    if ! found=$(find-label luc-data) || ! mount -t ext4 -o noatime "$(device_of $found)" /data; then
        mount -t tmpfs -o size=4m tmpfs /data
    fi
    boots=0
    [ -e /data/boots ] && read -r boots < /data/boots
    boots=$((boots + 1))
    echo "$boots" > /data/boots
    [ -d /data/dropbear ] || mkdir /data/dropbear
}

device_of() { echo "$2"; }

# Mounts the config drive on /run/config if there is one; sets `source` to its kind: `openstack`
# (label config-2), `nocloud` (label cidata), or `none`.
mount_config_drive() {
    source=none
    found=$(find-label config-2 cidata) ||
        { load-modules /lib/modules/scsi; found=$(find-label config-2 cidata); } || return 0
    # shellcheck disable=SC2086
    mount_as $found
}

# Mounts what find-label found: type, device, label.
mount_as() {
    [ -e "/lib/modules/$1" ] && load-modules "/lib/modules/$1"
    mount -t "$1" -o ro "$2" /run/config || return 0
    case $3 in
        config-2) source=openstack ;;
        cidata) source=nocloud ;;
    esac
}
