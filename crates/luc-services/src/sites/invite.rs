//! Makes tickets.

use std::time::Duration;

use luc_core::id::DomainId;
use luc_core::{Entropy as _, SitePrefix, Uuid};

use super::members::{Members, transact};
use super::model::{Label, Purpose, Ticket};
use super::refusal::Refusal;
use super::ticket::{TicketText, base32, hash};
use crate::Services;
use crate::ports::Drawn;

/// No ticket lives longer.
const LIFETIME_MAX: Duration = Duration::from_secs(30 * 86_400);

/// What a ticket is to be good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// For a node of this site or for another site.
    pub purpose: Purpose,
    /// What a site becomes that joins with it.
    pub label: Label,
    /// The domains whose records an edge site may hold: none that is not listed, and none at all
    /// without a list. A trusted site has no list and may hold any.
    pub domains: Option<Vec<DomainId>>,
    /// For how long.
    pub lifetime: Duration,
}

/// Who invites: where the one who joins must go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inviter {
    /// The prefix of the site that founded the cloud.
    pub cloud: SitePrefix,
    /// The name of this site.
    pub site_name: String,
    /// This node's key on the fabric.
    pub key: String,
    /// Where it is reached on the fabric.
    pub addresses: Vec<String>,
}

/// Makes a ticket; its text is shown once and kept nowhere.
///
/// A site that is not trusted makes tickets for its own nodes only.
pub async fn invite(
    services: &Services,
    inviter: &Inviter,
    invitation: &Invitation,
) -> Result<TicketText, Refusal> {
    check(services, invitation)?;
    let mut random = Drawn(&*services.random);
    let mut secret = [0u8; 32];
    random.fill(&mut secret);
    let secret = base32(&secret);
    let now = services.clock.now();
    let ticket = Ticket {
        id: Uuid::born_at(services.site, &mut random).simple(),
        hash: hash(&secret),
        purpose: invitation.purpose,
        label: invitation.label,
        domains: invitation.domains.clone(),
        created_at: now,
        expires_at: now.plus(invitation.lifetime),
    };
    transact(services, |tx| {
        // Those that nobody can use any more go with the next one that is made.
        for old in tx.all::<Ticket>() {
            if old.expires_at <= now {
                tx.delete::<Ticket>(&old.id)?;
            }
        }
        tx.insert(ticket.clone())?;
        Ok(())
    })
    .await?;
    Ok(TicketText {
        cloud: inviter.cloud,
        site: services.site,
        site_name: inviter.site_name.clone(),
        key: inviter.key.clone(),
        addresses: inviter.addresses.clone(),
        secret,
        purpose: ticket.purpose,
        label: ticket.label,
        expires: ticket.expires_at,
    })
}

fn check(services: &Services, invitation: &Invitation) -> Result<(), Refusal> {
    let lifetime = invitation.lifetime;
    if lifetime.is_zero() || lifetime > LIFETIME_MAX {
        return Err(Refusal::Invalid {
            field: "expires",
            reason: "use more than 0 s and at most 30 days".to_owned(),
        });
    }
    if invitation.domains.is_some() && invitation.label == Label::Trusted {
        return Err(Refusal::Invalid {
            field: "domains",
            reason: "a trusted site may hold every domain; use the label edge".to_owned(),
        });
    }
    let members = Members::of(&services.store.snapshot(), services.site);
    let trusted = members.trusts(services.site);
    if invitation.purpose == Purpose::Site && !trusted {
        return Err(Refusal::NotTrusted);
    }
    Ok(())
}
