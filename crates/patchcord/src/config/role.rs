//! One `[[role]]` table of the configuration file.
//!
//! **Invariant: a role has a name that an account can have, and only permissions that exist.** Which
//! roles there are without a configuration is decided by `api`.

use api::Permission;

use super::source::{Problem, no_such_key, plain};
use super::{Key, Reason};

/// A role that accounts may have.
#[derive(Clone, Debug)]
pub(crate) struct Role {
    /// Its name, as in the accounts.
    pub(crate) name: String,
    /// What accounts with this role may do.
    pub(crate) permissions: Vec<Permission>,
}

/// The role with all permissions, which cannot be changed.
const ADMINISTRATOR: &str = "Administrator";
/// Maximum size of a name in characters, as in the API.
const MAX_NAME: usize = 64;

/// The keys of a role, for the documentation and for suggestions.
pub(super) const KEYS: &[Key] = &[
    key(
        "name",
        "a string",
        "Name of the role, as in the `Role` of an account; required. `Developer` replaces the built-in role; `Administrator` cannot be changed.",
    ),
    key(
        "permissions",
        "a list of permissions",
        "What accounts with this role may do, for example `[\"*:Calls\", \"Read,Modify:Accounts\"]`: actions (`Create`, `Read`, `Modify`, `Delete`) and kinds of resources, each a comma-separated list or `*`. rest.md gives the permission that each request needs. Unset: nothing.",
    ),
];

const fn key(name: &'static str, kind: &'static str, doc: &'static str) -> Key {
    Key {
        section: "role",
        name,
        kind,
        default: "",
        secret: false,
        doc,
    }
}

/// Reads the table at position `at` (from 0); `None` if it has any fault.
///
/// - `earlier`: the roles of the tables before it
pub(super) fn read(
    at: usize,
    table: &toml::Table,
    earlier: &[Role],
    problems: &mut Vec<Problem>,
) -> Option<Role> {
    let before = problems.len();
    let mut role = Role {
        name: String::new(),
        permissions: Vec::new(),
    };
    for (key, value) in table {
        if let Err(reason) = set(&mut role, key, value) {
            problems.push(Problem::new(format!("role[{at}].{key}"), reason));
        }
    }
    let refused = check_name(&role.name, earlier).filter(|_| problems.len() == before);
    if let Some(reason) = refused {
        problems.push(Problem::new(format!("role[{at}].name"), reason));
    }
    (problems.len() == before).then_some(role)
}

fn set(role: &mut Role, key: &str, value: &toml::Value) -> Result<(), Reason> {
    match (key, value) {
        ("name", _) => role.name = plain(value)?,
        ("permissions", toml::Value::Array(values)) => {
            let read = |value| {
                let permission = plain(value)?.parse::<Permission>();
                permission.map_err(|error| error.to_string())
            };
            role.permissions = values.iter().map(read).collect::<Result<_, Reason>>()?;
        }
        ("permissions", _) => return Err("must be a list of permissions".to_owned()),
        _ => return Err(no_such_key(key, KEYS.iter())),
    }
    Ok(())
}

/// What is wrong with a name.
fn check_name(name: &str, earlier: &[Role]) -> Option<Reason> {
    let is_clean = !name.chars().any(char::is_control) && name.trim() == name;
    if name.is_empty() {
        Some("is missing".to_owned())
    } else if !is_clean || name.chars().count() > MAX_NAME {
        Some(format!(
            "must be one line of at most {MAX_NAME} characters, without spaces around it"
        ))
    } else if name == ADMINISTRATOR {
        Some(format!(
            "`{ADMINISTRATOR}` has all permissions and cannot be changed"
        ))
    } else if earlier.iter().any(|role| role.name == name) {
        Some(format!("there are two roles `{name}`"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_a_role_or_says_what_is_wrong() {
        let table = [
            ("name = 'Guest'", ""),
            (
                "name = 'Desk'\npermissions = ['Read,Modify:Calls', 'RestComm:*:Clients']",
                "",
            ),
            ("permissions = ['*:*']", "`role[1].name`: is missing"),
            ("name = 7", ""),
            ("name = ' a'", "`role[1].name`: must be one line"),
            ("name = \"a\\nb\"", "`role[1].name`: must be one line"),
            (
                "name = 'Administrator'",
                "`role[1].name`: `Administrator` has all permissions",
            ),
            ("name = 'Agent'", "`role[1].name`: there are two roles"),
            (
                "name = 'a'\npermissions = 'Read:Calls'",
                "`role[1].permissions`: must be a list",
            ),
            (
                "name = 'a'\npermissions = ['Read:Cals']",
                "`role[1].permissions`: `Cals` is not a kind of resource; did you mean `Calls`?",
            ),
            (
                "name = 'a'\npermission = []",
                "`role[1].permission`: no such key; did you mean `permissions`?",
            ),
        ];
        let agent = Role {
            name: "Agent".to_owned(),
            permissions: Vec::new(),
        };
        let earlier = [agent];
        for (text, expected) in table {
            let mut problems = Vec::new();
            let role = read(1, &text.parse().unwrap(), &earlier, &mut problems);
            assert_eq!(role.is_some(), expected.is_empty(), "{text}");
            let found: Vec<String> = problems.iter().map(ToString::to_string).collect();
            let found = found.join("; ");
            assert!(
                found.starts_with(expected) && found.is_empty() == expected.is_empty(),
                "{text}: {found}"
            );
        }
        let long = format!("name = '{}'", "x".repeat(MAX_NAME + 1));
        assert!(read(0, &long.parse().unwrap(), &[], &mut Vec::new()).is_none());
    }
}
