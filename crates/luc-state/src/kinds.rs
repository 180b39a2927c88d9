//! THE table of kinds: kind → home → scope → form of id → where its name is unique.
//!
//! Everything that must know where a record lives, who may hold a copy of it, or who decides over
//! its name, asks this table ([`Kind::spec`]) and nothing else: routing, feed filters, the list of
//! operations that work through a split. It knows nothing of the fields of a record; those are
//! [`Record`](crate::Record) types of the services.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use luc_core::id::Written;

use crate::scope::Scope;

/// The id of the domain whose home decides over what the whole cloud shares.
pub const DEFAULT_DOMAIN: &str = "default";

/// Which site is the home of a new record of a kind, and whether that may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HomeRule {
    /// The site that made it.
    Birth,
    /// The site that made it; the home follows the virtual machine when that moves.
    BirthThenMoves,
    /// The site the record was created for, named by its creator.
    CreatedFor,
    /// The home of the domain it belongs to, directly or through its user or project.
    OfDomain,
    /// The home of the `default` domain: the founder site until somebody moves it.
    OfDefaultDomain,
    /// The site that made it, also once it is for everybody (`docs/decisions/0035`).
    ByVisibility,
    /// The site it describes; never changes.
    Itself,
}

/// Who may hold a copy of the records of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScopeRule {
    /// The home site alone; shown elsewhere by gathering.
    Site,
    /// The sites where the project lives.
    Project,
    /// The sites where the domain lives.
    Domain,
    /// Every site.
    Cloud,
    /// The record goes to every site for its name's sake, with what describes the domain; what the
    /// domain owns goes to the sites of the domain.
    DomainWithNameInCloud,
    /// A project's sites while private, every site once public.
    ByVisibility,
}

impl ScopeRule {
    /// Whether a record under this rule may have `scope`.
    pub fn allows(self, scope: &Scope) -> bool {
        match self {
            Self::Site => matches!(scope, Scope::Site),
            Self::Project => matches!(scope, Scope::Project(_)),
            Self::Domain | Self::DomainWithNameInCloud => matches!(scope, Scope::Domain(_)),
            Self::Cloud => matches!(scope, Scope::Cloud),
            Self::ByVisibility => matches!(scope, Scope::Project(_) | Scope::Cloud),
        }
    }
}

/// What the ids of a kind look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdForm {
    /// Made by the cloud: version 8 with the birth site in it.
    Uuid(Written),
    /// Made by the cloud unless a client or upstream chose it (`default`, image and flavor ids).
    Chosen(Written),
    /// A whole number that counts within its site; other sites show it with the site in its upper
    /// bits, so that no block of numbers has to be lent.
    Integer,
    /// The named parts of other records, joined by [`key`](crate::key).
    Parts(&'static [&'static str]),
}

/// Where it is decided that a name is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UniqueIn {
    /// Names need not be unique.
    Nowhere,
    /// By the site that makes it, among all that it knows of; of two that were made at once the
    /// same one is shown everywhere else (`docs/decisions/0033`).
    Cloud,
    /// By the home of the `default` domain, for the whole cloud.
    DefaultDomain,
    /// By the home of its domain, inside that domain.
    Domain,
    /// By the home of its user, among that user's.
    User,
    /// By the site, inside the site.
    Site,
    /// By nobody: the id begins with the prefix of the site's key.
    KeyPrefix,
}

/// One line of the table of kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindSpec {
    /// The kind.
    pub kind: Kind,
    /// Its name in stored records and engine keys.
    pub name: &'static str,
    /// Which site is its home.
    pub home: HomeRule,
    /// Who may hold a copy.
    pub scope: ScopeRule,
    /// What its ids look like.
    pub id: IdForm,
    /// Where its name is unique.
    pub unique: UniqueIn,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal: $home:ident, $scope:ident,
        $id:expr, $unique:ident;)+) => {
        /// What a record is. The name never changes once a release has stored it.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $($(#[$doc])* $kind,)+
        }

        /// The table, in the order of [`Kind`].
        pub const KINDS: &[KindSpec] = &[
            $(KindSpec {
                kind: Kind::$kind,
                name: $name,
                home: HomeRule::$home,
                scope: ScopeRule::$scope,
                id: $id,
                unique: UniqueIn::$unique,
            },)+
        ];
    };
}

use IdForm::{Chosen, Integer, Parts, Uuid};
use Written::{Hyphenated, Simple};

kinds! {
    // What belongs to virtual machines: born on a site, moves with the machine.
    /// A virtual machine.
    Server = "server": BirthThenMoves, Project, Uuid(Hyphenated), Nowhere;
    /// A server that is gone, kept for a while for those who ask what became of it.
    DeletedServer = "deleted_server": BirthThenMoves, Project, Uuid(Hyphenated), Nowhere;
    /// What happened to a server, as `os-instance-actions` shows it.
    InstanceAction = "instance_action": BirthThenMoves, Project, Uuid(Hyphenated), Nowhere;
    /// The share of a host that a server holds.
    Allocation = "allocation": BirthThenMoves, Site, Parts(&["server"]), Nowhere;
    /// The move of a server between hosts.
    Migration = "migration": BirthThenMoves, Site, Uuid(Hyphenated), Nowhere;
    /// A port of a network.
    Port = "port": BirthThenMoves, Project, Uuid(Hyphenated), Nowhere;
    /// A public address that can be moved between ports.
    FloatingIp = "floating_ip": BirthThenMoves, Project, Uuid(Hyphenated), Nowhere;
    /// A virtual disk.
    Volume = "volume": BirthThenMoves, Project, Uuid(Hyphenated), Nowhere;
    /// The state of a volume at one time.
    Snapshot = "snapshot": BirthThenMoves, Project, Uuid(Hyphenated), Nowhere;
    /// A disk image, private or public.
    Image = "image": ByVisibility, ByVisibility, Chosen(Hyphenated), Nowhere;
    /// A project with which an image is shared.
    ImageMember = "image_member": BirthThenMoves, Project, Parts(&["image", "project"]), Nowhere;

    // What projects build on one site.
    /// A tenant network.
    Network = "network": Birth, Project, Uuid(Hyphenated), Nowhere;
    /// An address range of a network.
    Subnet = "subnet": Birth, Project, Uuid(Hyphenated), Nowhere;
    /// A router between networks.
    Router = "router": Birth, Project, Uuid(Hyphenated), Nowhere;
    /// A set of packet filter rules.
    SecurityGroup = "security_group": Birth, Project, Uuid(Hyphenated), Nowhere;
    /// One rule of a security group.
    SecurityGroupRule = "security_group_rule": Birth, Project, Uuid(Hyphenated), Nowhere;
    /// Servers that must share a host, or must not.
    ServerGroup = "server_group": Birth, Project, Uuid(Hyphenated), Nowhere;

    // Identity: at the home of the domain.
    /// A domain; `default` is one.
    Domain = "domain": CreatedFor, DomainWithNameInCloud, Chosen(Simple), Cloud;
    /// That a site may hold what a domain owns, and sign tokens for its users.
    DomainPresence = "domain_presence": OfDomain, Domain, Parts(&["domain", "site"]), Nowhere;
    /// A user.
    User = "user": OfDomain, Domain, Uuid(Simple), Domain;
    /// A group of users.
    Group = "group": OfDomain, Domain, Uuid(Simple), Domain;
    /// That a user is in a group.
    Membership = "membership": OfDomain, Domain, Parts(&["group", "user"]), Nowhere;
    /// A project (tenant).
    Project = "project": OfDomain, Domain, Uuid(Simple), Domain;
    /// That a user or group has a role on a project, a domain or the system.
    Assignment = "assignment": OfDomain, Domain,
        Parts(&["target kind", "target", "actor kind", "actor", "role", "inherited"]), Nowhere;
    /// A credential that a user made for a program.
    ApplicationCredential = "application_credential": OfDomain, Domain, Uuid(Simple), User;
    /// What an application credential with rules may ask of which service; several may share one.
    AccessRule = "access_rule": OfDomain, Domain, Uuid(Simple), Nowhere;
    /// That one user may act for another.
    Trust = "trust": OfDomain, Domain, Uuid(Simple), Nowhere;
    /// An EC2 or TOTP credential of a user.
    Credential = "credential": OfDomain, Domain, Uuid(Simple), Nowhere;
    /// A public SSH key of a user.
    Keypair = "keypair": OfDomain, Domain, Parts(&["user", "name"]), User;
    /// The limits of a project that differ from the defaults.
    Quota = "quota": OfDomain, Domain, Parts(&["project"]), Nowhere;
    /// How much of a project's limits a site may use.
    QuotaLease = "quota_lease": OfDomain, Domain, Parts(&["project", "site"]), Nowhere;

    // What the whole cloud shares: at the home of the `default` domain.
    /// A role.
    Role = "role": OfDefaultDomain, Cloud, Uuid(Simple), DefaultDomain;
    /// That one role implies another.
    ImpliedRole = "implied_role": OfDefaultDomain, Cloud, Parts(&["prior", "implied"]), Nowhere;
    /// An entry of the service catalog.
    Service = "service": OfDefaultDomain, Cloud, Uuid(Simple), Nowhere;
    /// An endpoint of the service catalog.
    Endpoint = "endpoint": OfDefaultDomain, Cloud, Uuid(Simple), Nowhere;
    /// A region of the service catalog.
    Region = "region": OfDefaultDomain, Cloud, Chosen(Simple), DefaultDomain;
    /// A size of servers.
    Flavor = "flavor": OfDefaultDomain, Cloud, Chosen(Hyphenated), DefaultDomain;
    /// The default limits of the cloud, per service and resource.
    RegisteredLimit = "registered_limit": OfDefaultDomain, Cloud, Uuid(Simple), Nowhere;
    /// The default limits of compute, as `os-quota-class-sets` shows them.
    QuotaClass = "quota_class": OfDefaultDomain, Cloud, Parts(&["class"]), DefaultDomain;
    /// A setting of the cloud that is made once, such as that it has been founded.
    Setting = "setting": OfDefaultDomain, Cloud, Parts(&["name"]), DefaultDomain;

    // What a site is made of.
    /// A set of hosts inside a site.
    Aggregate = "aggregate": Itself, Site, Integer, Site;
    /// A server of ours that can run virtual machines: what it has.
    Host = "host": Itself, Site, Parts(&["host"]), Site;
    /// What servers claim of a host; beside it because it changes with every server.
    HostUsage = "host_usage": Itself, Site, Parts(&["host"]), Nowhere;
    /// The hypervisor of a host, as `os-hypervisors` shows it.
    Hypervisor = "hypervisor": Itself, Site, Uuid(Hyphenated), Site;
    /// The compute service of a host, as `os-services` shows it.
    ComputeService = "compute_service": Itself, Site, Uuid(Hyphenated), Site;
    /// What a project uses on this site.
    QuotaUsage = "quota_usage": Itself, Site, Parts(&["project"]), Nowhere;
    /// How much of its lease a site still claims, where that is less than was granted.
    LeaseHeld = "lease_held": Itself, Site, Parts(&["project"]), Nowhere;
    /// The outcome of a write that was forwarded to this site under an operation id.
    Operation = "operation": Itself, Site, Uuid(Hyphenated), Nowhere;

    // How far sites follow each other.
    /// That a record is gone, for the sites that may hold a copy of it.
    Tombstone = "tombstone": Itself, Site, Parts(&["kind", "id"]), Nowhere;
    /// How far this site has followed another.
    FeedCursor = "feed_cursor": Itself, Site, Parts(&["site"]), Nowhere;
    /// What this site holds copies of, of another.
    FeedFilter = "feed_filter": Itself, Site, Parts(&["site"]), Nowhere;
    /// From when on this site can tell others what has gone.
    FeedHorizon = "feed_horizon": Itself, Site, Parts(&["site"]), Nowhere;
    /// A copy that is kept aside because a record of another site has its id or its name.
    Withheld = "withheld": Itself, Site, Parts(&["home", "kind", "id"]), Nowhere;

    // What every site must know about the others.
    /// That a site was let into the cloud: by whom, under which key and name, how far trusted.
    Admission = "admission": Birth, Cloud, Uuid(Simple), Nowhere;
    /// That a site is no longer of the cloud; never taken back.
    Removal = "removal": Birth, Cloud, Uuid(Simple), Nowhere;
    /// An invitation that is good once; only the hash of its secret is kept.
    Ticket = "ticket": Itself, Site, Uuid(Simple), Nowhere;
    /// That this site has promised a name and a prefix to a site that joins.
    Promise = "promise": Itself, Site, Parts(&["site"]), Site;
    /// A site: nodes a LAN apart.
    Site = "site": Itself, Cloud, Uuid(Simple), KeyPrefix;
    /// A node of a site, with its key.
    Node = "node": Itself, Cloud, Uuid(Simple), KeyPrefix;
    /// A public key that verifies tokens.
    SigningKey = "signing_key": Itself, Cloud, Uuid(Simple), KeyPrefix;
    /// That some tokens are no longer good.
    RevocationEvent = "revocation_event": Itself, Cloud, Uuid(Simple), KeyPrefix;
}

impl Kind {
    /// This kind's line in the table.
    pub const fn spec(self) -> &'static KindSpec {
        // The table is written in the order of the enum; `the_table_is_in_the_order_of_the_enum`.
        &KINDS[self as usize]
    }

    /// Its name in stored records, engine keys and messages.
    pub const fn name(self) -> &'static str {
        self.spec().name
    }

    /// The kind that is stored under `name`.
    pub fn named(name: &str) -> Option<Self> {
        KINDS
            .iter()
            .find(|spec| spec.name == name)
            .map(|spec| spec.kind)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::named(&name)
            .ok_or_else(|| serde::de::Error::custom(format!("'{name}' is no kind of record")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for (position, spec) in KINDS.iter().enumerate() {
            assert_eq!(spec.kind as usize, position, "{}", spec.name);
            assert_eq!(spec.kind.spec(), spec);
        }
    }

    #[test]
    fn names_are_unique_and_fit_into_engine_keys() {
        for spec in KINDS {
            assert_eq!(Kind::named(spec.name), Some(spec.kind));
            assert!(
                spec.name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b == b'_')
            );
        }
        assert_eq!(Kind::named("spaceship"), None);
    }

    #[test]
    fn secrets_of_a_domain_stay_with_its_domain() {
        for kind in [
            Kind::User,
            Kind::ApplicationCredential,
            Kind::Credential,
            Kind::Keypair,
        ] {
            assert_eq!(kind.spec().scope, ScopeRule::Domain, "{kind}");
        }
    }

    #[test]
    fn what_describes_a_site_never_leaves_it_unless_every_site_needs_it() {
        for spec in KINDS.iter().filter(|spec| spec.home == HomeRule::Itself) {
            assert!(
                matches!(spec.scope, ScopeRule::Site | ScopeRule::Cloud),
                "{}",
                spec.name
            );
        }
    }
}
