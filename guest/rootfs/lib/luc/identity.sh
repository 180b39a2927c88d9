# Who this guest is: hostname, uuid, keys, settings, from the config drive or the metadata service.
# Sourced by /init (config drive) and by /sbin/luc-network (metadata service, once there is a NIC).
# Source of the formats: OpenStack metadata (openstack/latest/meta_data.json, network_data.json,
# user_data) and cloud-init's NoCloud (meta-data, user-data).
#
# What was learned is kept in /run/luc as flat lines `path=value` (see src/json.c).

METADATA_HOST=169.254.169.254
METADATA_PATH=/openstack/latest

# Sets `got` to the value of path $2 in flat file $1, or to nothing. No process is started.
get() {
    got=
    [ -e "/run/luc/$1" ] || return 1
    while IFS= read -r line; do
        case $line in
            "$2="*)
                got=${line#*=}
                return 0
                ;;
        esac
    done < "/run/luc/$1"
    return 1
}

# Reads the config drive, sets LUC_HOSTNAME and LUC_UUID, keeps the rest for later.
read_identity() {
    mount_config_drive
    case $source in
        openstack) read_openstack /run/config/openstack/latest ;;
        nocloud) read_nocloud /run/config ;;
    esac
    echo "$source" > /run/luc/source
    set_identity
}

# Takes over the files of an OpenStack config drive or of a download with the same names.
read_openstack() {
    json-lines < "$1/meta_data.json" > /run/luc/meta
    [ -f "$1/network_data.json" ] && json-lines < "$1/network_data.json" > /run/luc/network
    [ -f "$1/user_data" ] && cp "$1/user_data" /run/luc/user_data
    list_keys public_keys
}

# Writes the values of all paths below $1, the instance's SSH keys, one a line.
list_keys() {
    while IFS= read -r line; do
        case $line in
            "$1."*) echo "${line#*=}" ;;
        esac
    done < /run/luc/meta > /run/luc/keys
}

# Takes over a NoCloud drive. Its meta-data is YAML: of it, JSON and plain `key: value` lines with
# one list of keys are understood; network-config is not, such a guest asks DHCP.
read_nocloud() {
    if grep -q '^ *{' "$1/meta-data"; then
        json-lines < "$1/meta-data" > /run/luc/meta
    else
        sed -n 's/^\([a-z_-]*\): *"\{0,1\}\([^"]*\)"\{0,1\} *$/\1=\2/p' "$1/meta-data" > /run/luc/meta
        sed -n 's/^ *- *"\{0,1\}\(ssh-[^"]*\|ecdsa-[^"]*\)"\{0,1\}$/public-keys.0=\1/p' \
            "$1/meta-data" >> /run/luc/meta
    fi
    sed -e 's/^local-hostname=/hostname=/' -e 's/^instance-id=/uuid=/' -i /run/luc/meta
    [ -f "$1/user-data" ] && cp "$1/user-data" /run/luc/user_data
    list_keys public-keys
}

# Asks the metadata service, briefly: without one there is nobody to wait for.
read_metadata_service() {
    mkdir -p /run/luc/http
    for file in meta_data.json network_data.json user_data; do
        http_get "$file" > "/run/luc/http/$file" || rm -f "/run/luc/http/$file"
        [ -e /run/luc/http/meta_data.json ] || return 1
    done
    grep -q '"uuid"' /run/luc/http/meta_data.json || return 1
    read_openstack /run/luc/http
    echo metadata > /run/luc/source
    set_identity
}

# Prints one file of the metadata service. By nc, for the wget of Debian's busybox-static 1.35
# ends in a segmentation fault.
http_get() {
    printf 'GET %s/%s HTTP/1.0\r\nHost: %s\r\n\r\n' "$METADATA_PATH" "$1" "$METADATA_HOST" |
        nc -w 2 "$METADATA_HOST" 80 2>/dev/null > /run/luc/answer
    read -r _ status _ < /run/luc/answer
    [ "$status" = 200 ] && sed '1,/^\r*$/d' /run/luc/answer
}

# Sets the two names from what was read; the firmware knows the uuid when nobody else does.
set_identity() {
    get meta hostname
    LUC_HOSTNAME=${got%%.*}
    LUC_HOSTNAME=${LUC_HOSTNAME:-luc-guest}
    get meta uuid || read -r got < /sys/class/dmi/id/product_uuid
    LUC_UUID=${got:-unknown}
}

# Writes what the web server, the login banner and the load generator start from.
write_pages() {
    read -r boots < /data/boots
    printf 'LUC guest %s\n\n' "$LUC_HOSTNAME" > /etc/issue
    printf 'Hello from %s\nuuid %s\nboots %s\n' "$LUC_HOSTNAME" "$LUC_UUID" "$boots" \
        > /www/index.html
    get meta meta.luc_load_cpu
    load=${got:-0}
    get meta meta.luc_load_mem_mib
    load="$load ${got:-0}"
    get meta meta.luc_load_dirty_mib_s
    echo "$load ${got:-0}" > /run/luc/load
}
