//! `luc join`: what the command line and a configuration say, put together; the joining itself is
//! [`crate::join`].

use std::path::Path;

use anyhow::{Context as _, bail};
use luc_services::sites::{Purpose, TicketText};
use serde_json::json;

use super::show;
use crate::config::{Config, Role};
use crate::operate_args::JoinArgs;

/// Carries it out.
pub async fn join(args: JoinArgs, json_wanted: bool) -> anyhow::Result<()> {
    let ticket = TicketText::decode(&args.ticket)?;
    let file = args.config.as_deref().context(
        "which configuration? Use --config FILE: it is used as it is, or written if it is not \
         there; `luc node --config FILE` then starts what joined",
    )?;
    let config = configured(&args, &ticket, file)?;
    // Read again as a whole, so that the options are checked as the file is.
    let text = toml::to_string_pretty(&config)?;
    let config = Config::parse(&text)?;
    let fabrics = crate::fabrics::Fabrics::Quic;
    let domain = args.as_domain.as_deref();
    let joined = crate::join::join_as(&config, &args.ticket, domain, &fabrics).await?;
    let (welcomed, left) = (joined.welcomed, joined.left);
    let written = !file.is_file();
    if written {
        crate::clouds::write_private(file, text.as_bytes())?;
    }
    let facts = json!({"site": welcomed.site_name, "prefix": welcomed.site.to_string(),
        "data_dir": config.node.data_dir, "config": file, "left": left,
        "sites": welcomed.members.sites.iter().map(|site| site.name.clone()).collect::<Vec<_>>()});
    show(&facts, json_wanted, || {
        let what = match ticket.purpose {
            Purpose::Node => format!(
                "Node {} is of site {}.",
                config.node.name, welcomed.site_name
            ),
            Purpose::Site => format!("Site {} is of the cloud.", welcomed.site_name),
        };
        let file = file.display();
        let wrote = if written {
            format!(" Its configuration is in {file}.")
        } else {
            String::new()
        };
        let left = left.iter().map(|left| format!("\nLeft behind: {left}"));
        let left = left.collect::<String>();
        format!("{what}{wrote} Start it with `luc node --config {file}`.{left}")
    });
    Ok(())
}

/// The configuration in `file`, or, where there is none yet, what the options say.
///
/// An option that says something else than the file is refused: what joined would not be what
/// `luc node --config` starts.
fn configured(args: &JoinArgs, ticket: &TicketText, file: &Path) -> anyhow::Result<Config> {
    let there = file.is_file();
    let mut config = if there {
        Config::read(file)?
    } else {
        Config::default()
    };
    if !there {
        if ticket.purpose == Purpose::Node {
            config.node.roles = vec![Role::Compute];
        }
        if args.name.is_none() {
            let what = match ticket.purpose {
                Purpose::Node => "node",
                Purpose::Site => "site",
            };
            bail!("name the {what}: --name NAME");
        }
    }
    let contradicts = |option: &str, field: &str, said: &str, wanted: &str| {
        format!(
            "{} says {field} = {said:?} and {option} says {wanted:?}: change the file, or leave \
             {option} away",
            file.display()
        )
    };
    if let Some(directory) = &args.data_dir {
        let absolute = |path: &Path| std::path::absolute(path).context("finding a directory");
        let said = &config.node.data_dir;
        if there && absolute(said)? != absolute(directory)? {
            let (said, wanted) = (said.display().to_string(), directory.display().to_string());
            bail!(contradicts("--data-dir", "node.data_dir", &said, &wanted));
        }
        config.node.data_dir.clone_from(directory);
    }
    if let Some(name) = &args.name {
        let (field, said) = match ticket.purpose {
            Purpose::Node => ("node.name", &mut config.node.name),
            Purpose::Site => ("site.name", &mut config.site.name),
        };
        if there && said != name {
            bail!(contradicts("--name", field, said, name));
        }
        said.clone_from(name);
    }
    if ticket.purpose == Purpose::Node {
        config.site.name.clone_from(&ticket.site_name);
    }
    Ok(config)
}
