//! Who may do what: the upstream default rules and an evaluator of the oslo.policy language.
//!
//! [`Policy::with_defaults`] holds the rules of Nova, Keystone and Glance; an operator's
//! `policy.yaml` replaces some of them ([`Policy::with_overrides`]). A handler asks
//! [`Policy::check`] with the rule of its endpoint, the caller's [`Credentials`] and the
//! [`Target`]. Rules are parsed once and evaluated as trees.
//!
//! The meaning is that of oslo.policy 6.0 and of the services' own use of it: scopes are enforced,
//! a rule that a service does not have denies, an administrator of any project is one everywhere
//! (the defaults say `role:admin`). What oslo.policy finds wrong only at the time of a request, or
//! answers by denying everybody, is refused when the policy is loaded: unknown kinds of checks,
//! broken expressions, references to missing rules, rings of rules.
//!
//! Not here: tokens and the expansion of implied roles (identity service), and the HTTP answer to a
//! denial ([`crate::fault`]).
//!
//! ```
//! use luc_api::policy::{Attributes, Credentials, Policy};
//! use luc_api::Service;
//!
//! let policy = Policy::with_defaults();
//! let roles = vec!["member", "reader"];
//! let caller = Credentials { project_id: Some("p1"), roles, ..Default::default() };
//! let mine = Attributes::new().with("project_id", "p1");
//! let other = Attributes::new().with("project_id", "p2");
//! let rule = "os_compute_api:servers:delete";
//! assert!(policy.check(Service::Compute, rule, &caller, &mine).is_allowed());
//! assert!(!policy.check(Service::Compute, rule, &caller, &other).is_allowed());
//! ```

mod credentials;
mod defaults;
mod evaluate;
mod explain;
mod expression;
mod overrides;
mod parse;
mod problem;
mod rules;
mod target;
mod template;
mod yaml;

#[cfg(test)]
mod tests;

pub use credentials::{Attribute, Credentials, Scope};
pub use evaluate::{Decision, Denial};
pub use explain::{Explanation, Step};
pub use expression::{Check, Literal};
pub use parse::{ExpressionError, parse, parse_lists};
pub use problem::{PolicyError, Problem, Reason};
pub use rules::Rule;
pub use target::{Attributes, Target, Value};
pub use template::Template;

use crate::service::Service;
use evaluate::Evaluation;
use rules::RuleSet;

/// The rules of all services.
#[derive(Clone, Debug)]
pub struct Policy {
    compute: RuleSet,
    identity: RuleSet,
    image: RuleSet,
}

impl Policy {
    /// The upstream defaults.
    pub fn with_defaults() -> Self {
        Self {
            compute: defaults::rules_of(Service::Compute),
            identity: defaults::rules_of(Service::Identity),
            image: defaults::rules_of(Service::Image),
        }
    }

    /// The upstream defaults with an operator's `policy.yaml` over them.
    ///
    /// The file is a mapping of rule names to checks, as upstream's. A name tells its service. The
    /// few names that several services have (`context_is_admin`, `service_api`, `admin_or_owner`,
    /// `service_or_admin`) stand in a mapping under `compute:`, `identity:` or `image:`; any other
    /// rule may stand there too. Rules of the operator's own are taken if something refers to them.
    pub fn with_overrides(yaml: &str) -> Result<Self, PolicyError> {
        let mut policy = Self::with_defaults();
        overrides::apply(&mut policy, yaml)?;
        Ok(policy)
    }

    /// Whether the caller may do what `rule` guards, to `target`.
    pub fn check(
        &self,
        service: Service,
        rule: &str,
        credentials: &Credentials<'_>,
        target: &dyn Target,
    ) -> Decision {
        Evaluation {
            rules: self.of(service),
            credentials,
            target,
        }
        .decide(rule)
    }

    /// The answer of [`Policy::check`] with its reasons. Slow; for logs and the command line.
    pub fn explain(
        &self,
        service: Service,
        rule: &str,
        credentials: &Credentials<'_>,
        target: &dyn Target,
    ) -> Explanation {
        Evaluation {
            rules: self.of(service),
            credentials,
            target,
        }
        .explain(rule)
    }

    /// Whether compute and image take the caller for an administrator: their rule
    /// `context_is_admin`, checked against the caller itself. The identity service has no such
    /// rule, so nobody is one there. It goes into [`Credentials::is_admin`].
    pub fn is_admin(&self, service: Service, credentials: &Credentials<'_>) -> bool {
        let target = Attributes::of_caller(credentials);
        self.check(service, "context_is_admin", credentials, &target)
            .is_allowed()
    }

    /// The rule of this name.
    pub fn rule(&self, service: Service, name: &str) -> Option<&Rule> {
        self.of(service).get(name)
    }

    /// The rules of a service, upstream's in upstream's order, then the operator's own.
    pub fn rules(&self, service: Service) -> &[Rule] {
        self.of(service).rules()
    }

    fn of(&self, service: Service) -> &RuleSet {
        match service {
            Service::Compute => &self.compute,
            Service::Identity => &self.identity,
            Service::Image => &self.image,
        }
    }

    fn of_mut(&mut self, service: Service) -> &mut RuleSet {
        match service {
            Service::Compute => &mut self.compute,
            Service::Identity => &mut self.identity,
            Service::Image => &mut self.image,
        }
    }
}
