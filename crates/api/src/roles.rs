//! The permissions of the roles of accounts.
//!
//! **Invariant: a role has only the permissions that are listed for it.** A name that is not a role, such as one
//! that was removed from the configuration, permits nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::params::{nearest, shown};
use crate::resources;

/// The role with all permissions.
pub(crate) const ADMINISTRATOR: &str = "Administrator";

/// Kinds of resources that no API key may use: they hold or make other credentials.
pub(crate) const CLOSED_TO_KEYS: &[&str] = &["Accounts", "Keys"];

/// An action on a kind of resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Create,
    Read,
    Modify,
    Delete,
}

impl Action {
    const ALL: [Self; 4] = [Self::Create, Self::Read, Self::Modify, Self::Delete];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "Create",
            Self::Read => "Read",
            Self::Modify => "Modify",
            Self::Delete => "Delete",
        }
    }
}

/// Actions on kinds of resources, written `RestComm:Actions:Kinds` with comma lists and `*`; the
/// prefix may be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission(String);

/// Why a text is not a permission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PermissionError {
    /// It does not consist of actions and kinds of resources.
    Form(String),
    /// It names an unknown action.
    Action(String),
    /// It names an unknown kind of resource, perhaps in place of the second.
    Kind(String, Option<&'static str>),
}

impl fmt::Display for PermissionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form(text) => write!(
                f,
                "`{text}` is not a permission; write actions and kinds of resources, such as `Read,Modify:Calls` or `*:*`"
            ),
            Self::Action(text) => write!(
                f,
                "`{text}` is not an action; the actions are `Create`, `Read`, `Modify`, `Delete` and `*`"
            ),
            Self::Kind(text, Some(meant)) => write!(
                f,
                "`{text}` is not a kind of resource; did you mean `{meant}`?"
            ),
            Self::Kind(text, None) => write!(
                f,
                "`{text}` is not a kind of resource; docs/rest.md names the permission of each request"
            ),
        }
    }
}

impl std::error::Error for PermissionError {}

impl FromStr for Permission {
    type Err = PermissionError;

    fn from_str(text: &str) -> Result<Self, PermissionError> {
        let bare = bare(text.trim());
        let form = || PermissionError::Form(shown(text));
        let (actions, kinds) = bare.split_once(':').ok_or_else(form)?;
        for name in actions.split(',').map(str::trim) {
            if name != "*" && !Action::ALL.iter().any(|action| action.as_str() == name) {
                return Err(PermissionError::Action(shown(name)));
            }
        }
        for name in kinds.split(',').map(str::trim) {
            if name != "*" && !Roles::kinds().any(|kind| kind == name) {
                let meant = nearest(name, Roles::kinds());
                return Err(PermissionError::Kind(shown(name), meant));
            }
        }
        Ok(Self(bare.to_owned()))
    }
}

impl Permission {
    fn grants(&self, action: Action, target: &str) -> bool {
        let named = |list: &str, name: &str| {
            list.split(',')
                .map(str::trim)
                .any(|one| one == "*" || one == name)
        };
        let parts = self.0.split_once(':');
        parts
            .is_some_and(|(actions, kinds)| named(actions, action.as_str()) && named(kinds, target))
    }
}

/// The permissions of each role.
#[derive(Debug, Clone)]
pub struct Roles(BTreeMap<String, Vec<Permission>>);

const PREFIX: &str = "RestComm:";

/// A permission without its prefix.
fn bare(text: &str) -> &str {
    text.strip_prefix(PREFIX).unwrap_or(text)
}

/// The permissions of the role `Developer`, some of them for kinds of resources that exist only in Restcomm.
const DEVELOPER: &[&str] = &[
    "RestComm:*:Accounts",
    "RestComm:*:Applications",
    "RestComm:*:Announcements",
    "RestComm:Read:AuditLog",
    "RestComm:Read:AvailablePhoneNumbers",
    "RestComm:*:Bin",
    "RestComm:*:Calls",
    "RestComm:*:Clients",
    "RestComm:*:Conferences",
    "RestComm:Create,Delete,Read:Faxes",
    "RestComm:*:IncomingPhoneNumbers",
    "RestComm:*:Keys",
    "RestComm:*:Masking",
    "RestComm:*:Voicemail",
    "RestComm:Read:Notifications",
    "RestComm:*:OptOuts",
    "RestComm:*:OutgoingCallerIds",
    "RestComm:Read:Profiles",
    "RestComm:*:Queues",
    "RestComm:Delete,Read:Recordings",
    "RestComm:Read,Modify:SandBoxes",
    "RestComm:*:ShortCodes",
    "RestComm:Read:SmsMessages",
    "RestComm:Read:Transcriptions",
    "RestComm:*:OutboundProxies",
    "RestComm:*:EmailMessages",
    "RestComm:*:Usage",
    "RestComm:*:Verifications",
    "RestComm:*:Geolocation",
    "RestComm:Read,Modify:Webhooks",
];

impl Default for Roles {
    fn default() -> Self {
        let permissions = DEVELOPER
            .iter()
            .map(|text| Permission(bare(text).to_owned()));
        Self(BTreeMap::new()).with("Developer", permissions.collect())
    }
}

impl Roles {
    /// Adds or replaces a role. `Administrator` cannot be restricted.
    #[must_use]
    pub fn with(mut self, name: &str, permissions: Vec<Permission>) -> Self {
        self.0.insert(name.to_owned(), permissions);
        self
    }

    /// Whether there is a role with this name.
    pub(crate) fn contain(&self, role: &str) -> bool {
        role == ADMINISTRATOR || self.0.contains_key(role)
    }

    /// Whether a role permits an action.
    pub(crate) fn allow(&self, role: &str, action: Action, target: &str) -> bool {
        role == ADMINISTRATOR
            || self
                .0
                .get(role)
                .is_some_and(|all| all.iter().any(|one| one.grants(action, target)))
    }

    /// Every kind of resource that a permission may name; some more than once.
    fn kinds() -> impl Iterator<Item = &'static str> {
        let routes = resources::all();
        let known = DEVELOPER.iter().filter_map(|text| text.rsplit(':').next());
        routes.map(|route| route.target).chain(known)
    }
}

/// Whether a list of `Action:Kind`, separated by spaces, permits an action.
pub(crate) fn permits(permissions: &str, action: Action, target: &str) -> bool {
    permissions.split(' ').any(|permission| {
        permission.split_once(':').is_some_and(|(actions, kind)| {
            (actions == "*" || actions == action.as_str()) && (kind == "*" || kind == target)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_name_actions_and_targets() {
        let reader = "RestComm:Read:Accounts,Calls".parse().unwrap();
        let roles = Roles::default().with("Reader", vec![reader]);
        let table = [
            ("Administrator", Action::Delete, "Anything", true),
            ("Developer", Action::Create, "Clients", true),
            ("Developer", Action::Create, "SmsMessages", false),
            ("Developer", Action::Delete, "Recordings", true),
            ("Developer", Action::Create, "Recordings", false),
            ("Reader", Action::Read, "Calls", true),
            ("Reader", Action::Modify, "Calls", false),
            ("Reader", Action::Read, "Clients", false),
            ("Guest", Action::Read, "Accounts", false),
            ("", Action::Read, "Accounts", false),
        ];
        for (role, action, target, allowed) in table {
            assert_eq!(
                roles.allow(role, action, target),
                allowed,
                "{role} {target}"
            );
        }
    }

    #[test]
    fn permissions_are_checked_before_they_are_used() {
        let table = [
            ("RestComm:Read:Calls", ""),
            (" Create, Read : Calls ", ""),
            ("*:*", ""),
            ("Read,Modify:Calls,Clients", ""),
            ("Read:ShortCodes", ""),
            ("*", "`*` is not a permission; write actions"),
            ("RestComm:Read", "`RestComm:Read` is not a permission"),
            (
                "Change:Calls",
                "`Change` is not an action; the actions are `Create`",
            ),
            (":Calls", "`` is not an action"),
            ("Read:", "`` is not a kind of resource; docs/rest.md"),
            (
                "Read:Cals",
                "`Cals` is not a kind of resource; did you mean `Calls`?",
            ),
            ("Other:Read:Calls", "`Other` is not an action"),
        ];
        for (text, expected) in table {
            let problem = text.parse::<Permission>().err();
            let problem = problem.map_or_else(String::new, |problem| problem.to_string());
            assert!(
                problem.starts_with(expected) && problem.is_empty() == expected.is_empty(),
                "{text}: {problem}"
            );
        }
        for text in DEVELOPER {
            assert_eq!(text.parse(), Ok(Permission(bare(text).to_owned())));
        }
    }

    /// As `docs/rest.md` describes.
    #[test]
    fn developers_may_do_all_but_send_or_change_text_messages_and_delete_transcriptions() {
        let roles = Roles::default();
        let routes = crate::resources::all();
        let refused: Vec<_> = routes
            .filter(|route| !route.top_only)
            .filter(|route| !roles.allow("Developer", route.action, route.target))
            .filter(|route| route.paths.iter().any(|path| path.contains("{account}")))
            .map(|route| (route.action, route.target))
            .collect();
        let expected = [
            (Action::Create, "SmsMessages"),
            (Action::Modify, "SmsMessages"),
            (Action::Delete, "SmsMessages"),
            (Action::Delete, "Erasures"),
            (Action::Delete, "Transcriptions"),
        ];
        assert_eq!(refused, expected);
    }
}
