//! The arguments of the operator's commands, with examples.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Where the API is and who asks.
#[derive(Debug, Clone, Args)]
pub struct ApiArgs {
    /// The URL of any node, such as http://10.0.0.1:9000.
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// A token instead of a password.
    #[arg(long, env = "OS_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub token: Option<String>,
    /// The user.
    #[arg(long, default_value = "admin", value_name = "NAME")]
    pub user: String,
    /// The file with the user's password.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// The project.
    #[arg(long, default_value = "admin", value_name = "NAME")]
    pub project: String,
    /// The entry of the clouds.yaml that OS_CLIENT_CONFIG_FILE names.
    #[arg(long, env = "OS_CLOUD", value_name = "NAME")]
    pub cloud: Option<String>,
}

/// Look at the sites of the cloud, and let them come and go.
#[derive(Debug, Subcommand)]
pub enum SiteCommand {
    /// Make a ticket: good once, for a node of this site or for another site.
    #[command(after_help = "Examples:\n  \
        luc site ticket --node                        # a node joins this site\n  \
        luc site ticket --site --label edge --expires 1d\n\n\
        Whoever has the text may join: treat it as a password until it is used.")]
    Ticket(TicketArgs),
    /// List the sites as seen from here: label, health, round trip, lag.
    #[command(after_help = "Examples:\n  luc site list\n  luc site list --json")]
    List {
        /// Where the API is.
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Show a site and its nodes.
    #[command(after_help = "Example:\n  luc site show nancy")]
    Show {
        /// Its name or prefix.
        site: String,
        /// Where the API is.
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Take the site that is asked out of the cloud; refused while it owns something.
    #[command(
        after_help = "Example:\n  luc site leave --url http://10.0.4.1:9000 --password-file pw"
    )]
    Leave {
        /// Where the API is.
        #[command(flatten)]
        api: ApiArgs,
    },
    /// End the membership of another site, for good.
    #[command(after_help = "Examples:\n  luc site remove rennes\n  \
        luc site remove rennes --insist    # what it still owns is given up\n  \
        luc site remove rennes --fenced    # and its hosts are off\n\n\
        Its tokens count no longer, its copies elsewhere are removed, and its name is free. \
        What it was lent of limits stays taken until --fenced says that nothing of it runs any \
        more, for a site that is only silent may still use it; say so later with its prefix.")]
    Remove {
        /// Its name or prefix.
        site: String,
        /// Even though it still owns something.
        #[arg(long)]
        insist: bool,
        /// Its hosts are off, you say: what it was lent of limits may be used again.
        #[arg(long)]
        fenced: bool,
        /// Where the API is.
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Say which domains an edge site may hold: those that are named, and no others.
    #[command(
        after_help = "Examples:\n  luc site allow kiosk --domain acme --domain 2c3d…\n  \
        luc site allow kiosk --none    # it gives back all that it holds\n\n\
        The homes of the domains follow as soon as they hear of it; the people of a domain that is \
        allowed can log in at the site even when it is cut off."
    )]
    Allow {
        /// Its name or prefix.
        site: String,
        /// A domain's name or id; may be given several times.
        #[arg(long, value_name = "DOMAIN", required_unless_present = "none")]
        domain: Vec<String>,
        /// No domain at all.
        #[arg(long, conflicts_with = "domain")]
        none: bool,
        /// Where the API is.
        #[command(flatten)]
        api: ApiArgs,
    },
}

/// How to make a ticket.
#[derive(Debug, Args)]
pub struct TicketArgs {
    /// For a node of this site.
    #[arg(long, conflicts_with_all = ["site", "label", "domain"])]
    pub node: bool,
    /// For another site; this is what it is without --node.
    #[arg(long)]
    pub site: bool,
    /// How far the word of the site will count.
    #[arg(long, default_value = "trusted", value_parser = ["trusted", "edge"])]
    pub label: String,
    /// A domain that an edge site may hold, by name or id; may be given several times, and later.
    #[arg(long, value_name = "DOMAIN")]
    pub domain: Vec<String>,
    /// For how long it is good.
    #[arg(long, default_value = "1h", value_name = "TIME")]
    pub expires: String,
    /// Where the API is.
    #[command(flatten)]
    pub api: ApiArgs,
}

/// How to join.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    luc join luc1-… --config /etc/luc/luc.toml --name nancy     # a site joins the cloud\n  \
    luc join luc1-… --config luc.toml --data-dir data --name h2 # a node joins a site\n  \
    luc join luc1-… --config luc.toml --as-domain lyon          # with the people it has\n\n\
    A configuration that is there is used as it is; else one is written. Run again with the same \
    ticket after an interruption. Then `luc node --config luc.toml` starts it.\n\n\
    With --as-domain a stopped cloud of one site becomes a site of the other cloud: its default \
    domain becomes the domain NAME, which lives here, with all users, groups, projects, \
    assignments, servers and private images under the ids they had. Left behind, and listed, are \
    roles on the system, the roles, flavors and default limits of its own (those of the cloud \
    count), and that images were public; tokens end. Roles keep their names, so that the role \
    admin is that of the cloud: join with a ticket of the label edge if that is not meant.")]
pub struct JoinArgs {
    /// The ticket that `luc site ticket` printed.
    pub ticket: String,
    /// The node's configuration, needed to start it; written if it is not there.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where the node keeps everything, as a configuration that is there says too.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The name of the site or node.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Bring the people of this site's own cloud along as those of this domain.
    #[arg(long, value_name = "NAME")]
    pub as_domain: Option<String>,
}

/// Look at nodes and end their membership.
#[derive(Debug, Subcommand)]
pub enum NodesCommand {
    /// List the nodes of all sites as seen from here.
    #[command(after_help = "Examples:\n  luc node list\n  luc node list --json")]
    List {
        /// Where the API is.
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Revoke the key of a node, for good.
    #[command(
        after_help = "Example:\n  luc node revoke 3fa9c6…    # the id that `luc node list` shows"
    )]
    Revoke {
        /// The node's id or key.
        node: String,
        /// Even if it is the only controller of its site: nobody reaches the site any more.
        #[arg(long)]
        insist: bool,
        /// Where the API is.
        #[command(flatten)]
        api: ApiArgs,
    },
}

/// See where the limits of a project are lent, and keep a part of them for a site.
#[derive(Debug, Subcommand)]
pub enum QuotaCommand {
    /// Show limits, what is used at their home, lent to sites, free, and pending.
    #[command(
        after_help = "Examples:\n  luc quota show demo\n  luc quota show demo --json\n\n\
        A limit that was lowered binds at once where it can; what sites still hold beyond it is \
        PENDING until they have given it back."
    )]
    Show {
        /// The project's id or name.
        #[arg(value_name = "PROJECT")]
        of: String,
        /// Where the API is.
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Keep a part of a project's limits for a site, whether it uses it or not.
    #[command(
        after_help = "Examples:\n  luc quota reserve demo nancy instances=5 cores=10 ram=10240\n  \
        luc quota reserve demo nancy          # nothing is kept any more"
    )]
    Reserve {
        /// The project's id or name.
        #[arg(value_name = "PROJECT")]
        of: String,
        /// The site's name or prefix.
        site: String,
        /// How much of what: instances, cores, ram (MiB), server_groups.
        #[arg(value_name = "ITEM=COUNT")]
        amounts: Vec<String>,
        /// Where the API is.
        #[command(flatten)]
        api: ApiArgs,
    },
}

/// Ask what became of writes that another site had to carry out.
#[derive(Debug, Subcommand)]
pub enum OpCommand {
    /// Show the outcome of an operation that a 504 named.
    #[command(after_help = "Example:\n  luc op show 0c1d2e3f-…")]
    Show {
        /// The operation's id.
        id: String,
        /// Where the API is.
        #[command(flatten)]
        api: ApiArgs,
    },
}

/// Look after the identity service.
#[derive(Debug, Subcommand)]
pub enum IdentityCommand {
    /// Sign tokens with a new key from now on, at the site that is asked.
    #[command(after_help = "Examples:\n  luc identity rotate\n  \
        luc identity rotate --void    # the old key was stolen: its tokens end")]
    Rotate {
        /// Tokens of the old key end at once.
        #[arg(long)]
        void: bool,
        /// Where the API is.
        #[command(flatten)]
        api: ApiArgs,
    },
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        ticket: TicketArgs,
    }

    #[test]
    fn a_ticket_for_a_node_takes_nothing_that_is_for_sites() {
        let read = |words: &[&str]| Line::try_parse_from([&["luc"], words].concat());
        assert!(read(&["--node"]).is_ok_and(|line| line.ticket.node));
        assert!(read(&["--site", "--label", "edge", "--domain", "acme"]).is_ok());
        for wrong in [&["--label", "edge"][..], &["--domain", "acme"], &["--site"]] {
            assert!(read(&[&["--node"], wrong].concat()).is_err(), "{wrong:?}");
        }
    }
}
