//! The reference: `docs/rest.md`, and below `docs/rest/` a page for each resource with its requests, parameters, fields and errors.
//!
//! **Invariant: what a page says between the two marks is read from the tables** of routes, parameters,
//! fields and errors. What surrounds them, the title, introduction and examples, is written by
//! hand in the page itself and left as it is; a page that does not exist yet gets a title and an
//! example from the tables. Tests run the examples.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use model::error;

use crate::dialect::{DIALECTS, RestDialect};
use crate::resources;
use crate::route::{Answers, Is, Param, Route, Verb};
use crate::value::{Kind, Shape};

/// The line above what is generated.
const START: &str = "<!-- Generated from the server's tables by `just gen`, down to the next such line. Change the tables, not this part. -->";
/// The line below it.
const END: &str = "<!-- End of the generated part. -->";

/// The file that lists the pages, in `docs/`.
const INDEX: &str = "rest.md";

/// A file of the reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Its path in `docs/`, such as `rest/calls.md`.
    pub file: String,
    /// Its content, as Markdown.
    pub text: String,
}

/// The reference, given the present content of its files: empty for one that does not exist.
#[must_use]
pub fn reference(present: impl Fn(&str) -> String) -> Vec<Page> {
    let mut pages: Vec<Page> = by_page()
        .into_iter()
        .map(|(name, routes)| {
            let file = format!("rest/{name}.md");
            let by_hand = match present(&file) {
                text if text.is_empty() => introduction(&name, &routes),
                text => text,
            };
            let text = renewed(&by_hand, &tables(&routes));
            Page { file, text }
        })
        .collect();
    let text = renewed(&present(INDEX), &index(&pages));
    pages.push(Page {
        file: INDEX.to_owned(),
        text,
    });
    pages
}

/// The routes of each resource, by the name of its page.
fn by_page() -> BTreeMap<String, Vec<&'static Route>> {
    let mut resources: BTreeMap<String, Vec<&Route>> = BTreeMap::new();
    for routes in resources::ROUTES {
        let first = routes.first().and_then(|route| route.paths.first());
        let name = page_name(first.copied().unwrap_or_default());
        resources.entry(name).or_default().extend(routes.iter());
    }
    resources
}

/// The name of a page: the words of a path after the account, such as `sms-messages`.
fn page_name(path: &str) -> String {
    let below = path.trim_start_matches("/Accounts/{account}/");
    let mut name = String::new();
    for part in below.split('/').filter(|part| !part.starts_with('{')) {
        let mut follows_small = !name.is_empty();
        for letter in part.chars() {
            if letter.is_ascii_uppercase() && follows_small {
                name.push('-');
            }
            follows_small = letter.is_ascii_lowercase();
            name.push(letter.to_ascii_lowercase());
        }
    }
    name
}

/// A title, and the request that reads the list if there is one.
fn introduction(name: &str, routes: &[&Route]) -> String {
    let mut title = name.replace('-', " ");
    if let Some(first) = title.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let mut out = format!("# {title}\n");
    let is_list =
        |path: &&&str| path.starts_with("/Accounts/{account}/") && path.matches('{').count() == 1;
    let reads = routes.iter().find_map(|route| {
        let path = route.paths.first().filter(is_list)?;
        (route.method == Verb::Get).then_some((path, route.within))
    });
    if let Some((path, within)) = reads {
        let base = if within == [false, true] {
            "TWILIO"
        } else {
            "BASE"
        };
        let path = path.trim_start_matches("/Accounts/{account}");
        let _ = write!(
            out,
            "\n```sh\ncurl -u \"$SID:$TOKEN\" \"${base}{path}.json\"\n```\n"
        );
    }
    out
}

/// A page with its generated part replaced; a page without marks gets it at its end.
fn renewed(page: &str, generated: &str) -> String {
    let marked = format!("{START}\n\n{generated}\n{END}");
    let parts = page
        .split_once(START)
        .and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    match parts {
        Some((before, after)) => format!("{before}{marked}{after}"),
        None => format!("{page}\n{marked}\n"),
    }
}

/// What the index lists: the pages, and the statuses of refusals.
fn index(pages: &[Page]) -> String {
    let mut out = String::from("## Resources\n\n");
    for page in pages {
        let title = page.text.lines().next().unwrap_or_default();
        let _ = writeln!(out, "- [{}]({})", title.trim_start_matches("# "), page.file);
    }
    out.push_str("\n## Statuses\n\n| status | number | when |\n|---|---|---|\n");
    let mut rows: Vec<_> = error::TABLE
        .iter()
        .filter(|row| row.http_status > 0)
        .collect();
    rows.sort_by_key(|row| (row.http_status, row.code));
    for row in rows {
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            out,
            "| {} | {} | {}{} |",
            row.http_status,
            row.code,
            cell(row.text),
            other_statuses(row)
        );
    }
    out
}

/// The statuses that dialects use instead for an error of the same number.
fn other_statuses(row: &error::ErrorEntry) -> String {
    let mut out = String::new();
    for dialect in RestDialect::MAIN {
        let from = (row.code, row.http_status);
        let rule = dialect.errors.iter().find(|rule| rule.from == from);
        if let Some((code, status)) = rule.map(|rule| rule.to)
            && code == row.code
            && status != row.http_status
        {
            let _ = write!(out, " At `{}`, the status is {status}.", dialect.base);
        }
    }
    out
}

/// The requests of a resource, with their parameters, fields and errors.
fn tables(routes: &[&Route]) -> String {
    let mut out = String::from(
        "## Requests\n\n| method | path | status | permission | what it does |\n|---|---|---|---|---|\n",
    );
    for route in routes {
        let _ = writeln!(
            out,
            "| {}{} | {} | {} | {}:{}{} | {} |",
            route.method.as_str(),
            base_of(route.within),
            paths_of(route),
            statuses(route),
            route.action.as_str(),
            route.target,
            if route.top_only {
                " of the top account"
            } else {
                ""
            },
            linked(route.doc)
        );
    }
    for (at, route) in routes.iter().enumerate() {
        let same = |other: &&&Route| same_params(route, other);
        if route.params.is_empty() || routes.iter().take(at).any(|other| same(&other)) {
            continue;
        }
        let methods: Vec<&str> = routes
            .iter()
            .filter(same)
            .map(|r| r.method.as_str())
            .collect();
        let path = route.paths.first().copied().unwrap_or_default();
        let _ = write!(
            out,
            "\n## Parameters of {} `{path}`\n\n",
            methods.join(" and ")
        );
        write_params(&mut out, route);
    }
    let mut shown: Vec<*const ()> = Vec::new();
    for shape in routes.iter().filter_map(|route| shape_of(route.answers)) {
        let address = std::ptr::from_ref(shape).cast::<()>();
        if !shown.contains(&address) {
            shown.push(address);
            write_fields(&mut out, shape);
        }
    }
    write_refusals(&mut out, routes);
    out
}

/// The statuses with which each request can be refused.
fn write_refusals(out: &mut String, routes: &[&Route]) {
    out.push_str("\n## Errors\n\nThe [index](../rest.md#statuses) explains the numbers behind each status.\n\n| request | refused with |\n|---|---|\n");
    for route in routes {
        let refusals = |dialect: &RestDialect| -> String {
            let statuses: Vec<_> = route.refusals(dialect).iter().map(u16::to_string).collect();
            statuses.join(", ")
        };
        let [restcomm, twilio] = RestDialect::MAIN.map(refusals);
        let shown = match route.within {
            [true, true] if restcomm != twilio => format!("{restcomm}; Twilio {twilio}"),
            [false, true] => twilio,
            _ => restcomm,
        };
        let path = route.paths.first().copied().unwrap_or_default();
        let method = route.method.as_str();
        let _ = writeln!(
            out,
            "| {method}{} `{path}` | {shown} |",
            base_of(route.within)
        );
    }
}

fn paths_of(route: &Route) -> String {
    let paths: Vec<_> = route.paths.iter().map(|path| format!("`{path}`")).collect();
    paths.join(", ")
}

/// Whether two rows have the same parameters and paths, as POST and PUT do.
fn same_params(one: &Route, other: &Route) -> bool {
    let groups = |route: &Route| -> Vec<*const Param> {
        route.params.iter().map(|group| group.as_ptr()).collect()
    };
    one.paths == other.paths && groups(one) == groups(other)
}

fn write_params(out: &mut String, route: &Route) {
    out.push_str("| parameter | value | meaning |\n|---|---|---|\n");
    for param in route.params.iter().copied().flatten() {
        let required = match param.required {
            [true, true] => " **Required.**",
            [true, false] => " **Required** at the Restcomm base.",
            [false, true] => " **Required** at the Twilio base.",
            [false, false] => "",
        };
        let _ = writeln!(
            out,
            "| `{}`{} | {} | {}{required} |",
            param.name,
            base_of(param.within),
            kind_of(param.kind),
            linked(param.doc)
        );
    }
}

fn write_fields(out: &mut String, shape: &(dyn Shape + Sync)) {
    let [restcomm, twilio] = RestDialect::MAIN;
    let of_twilio = shape.json_fields(twilio);
    let of_restcomm = shape.json_fields(restcomm);
    let _ = write!(
        out,
        "\n## Fields of {} in JSON\n\n| field | value | meaning |\n|---|---|---|\n",
        shape.name(twilio)
    );
    let mut write = |name: &str, within: [bool; DIALECTS], kind: Kind, doc: &str| {
        let _ = writeln!(
            out,
            "| `{name}`{} | {} | {} |",
            base_of(within),
            value_of(kind),
            linked(doc)
        );
    };
    for (name, kind, _, doc) in &of_restcomm {
        let both = of_twilio.iter().any(|(other, ..)| other == name);
        write(name, [true, both], *kind, doc);
    }
    for (name, kind, _, doc) in &of_twilio {
        if !of_restcomm.iter().any(|(other, ..)| other == name) {
            write(name, [false, true], *kind, doc);
        }
    }
}

fn shape_of(answers: Answers) -> Option<&'static (dyn Shape + Sync)> {
    match answers {
        Answers::One(shape) | Answers::Legs(shape) | Answers::Page(shape) | Answers::All(shape) => {
            Some(shape)
        }
        Answers::Document(_) | Answers::Texts | Answers::Nothing => None,
    }
}

fn base_of(within: [bool; DIALECTS]) -> &'static str {
    match within {
        [true, true] => "",
        [true, false] => " (Restcomm)",
        [false, true] => " (Twilio)",
        [false, false] => " (nowhere)",
    }
}

fn statuses(route: &Route) -> String {
    match (route.within, route.status) {
        ([true, true], [restcomm, twilio]) if restcomm != twilio => {
            format!("{restcomm}, Twilio {twilio}")
        }
        ([false, true], [_, twilio]) => twilio.to_string(),
        (_, [restcomm, _]) => restcomm.to_string(),
    }
}

fn kind_of(kind: Is) -> String {
    let words = |words: &[&str]| {
        let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
        words.join(", ")
    };
    match kind {
        Is::Text => "text".to_owned(),
        Is::Party => "text; an unescaped leading `+` is accepted".to_owned(),
        Is::Secret => "secret text".to_owned(),
        Is::Number => "whole number".to_owned(),
        Is::Flag => "`true` or `false`".to_owned(),
        Is::Method => "`GET` or `POST`".to_owned(),
        Is::Address => "http or https address".to_owned(),
        Is::Sid(_) => "SID".to_owned(),
        Is::SidPattern(_) => "SID; at the Restcomm base also a pattern with `%` and `_`".to_owned(),
        Is::Day => "day, `yyyy-MM-dd`".to_owned(),
        Is::Moment => "day, or time `yyyy-MM-ddTHH:mm:ssZ`".to_owned(),
        Is::Word(list) => format!("one of {}", words(list)),
        Is::Words(list) => format!("any of {}", words(list)),
    }
}

const fn value_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::Number | Kind::Decimal => "number",
        Kind::Flag => "true or false",
        Kind::Date | Kind::Time => "time",
        Kind::Link => "path",
        Kind::Object => "object",
        Kind::List => "list",
    }
}

/// A text of the tables, whose links are relative to `docs/`, as one cell of a page below it.
fn linked(text: &str) -> String {
    cell(text).replace("](", "](../")
}

/// A text as one table cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_resource_gets_a_page_and_what_is_written_by_hand_stays() {
        let fresh = reference(|_| String::new());
        let calls = fresh
            .iter()
            .find(|page| page.file == "rest/calls.md")
            .unwrap();
        let start = "# Calls\n\n```sh\ncurl -u \"$SID:$TOKEN\" \"$BASE/Calls.json\"\n```\n\n<!--";
        assert!(calls.text.starts_with(start), "{}", calls.text);
        let stale = format!("# Phones\n\nBy hand.\n\n{START}\nold\n{END}\n\nAlso by hand.\n");
        let renewed = renewed(&stale, "new");
        let wanted = format!("# Phones\n\nBy hand.\n\n{START}\n\nnew\n{END}\n\nAlso by hand.\n");
        assert_eq!(renewed, wanted);
    }

    #[test]
    fn links_of_the_tables_lead_out_of_the_folder_of_pages() {
        let text = "One of [these](webhooks.md#call-status) | none.";
        assert_eq!(
            linked(text),
            "One of [these](../webhooks.md#call-status) \\| none."
        );
    }

    #[test]
    fn pages_are_named_after_paths() {
        let table = [
            ("/Accounts", "accounts"),
            ("/Accounts/{account}/SMS/Messages", "sms-messages"),
            (
                "/Accounts/{account}/OutgoingCallerIds/{sid}",
                "outgoing-caller-ids",
            ),
        ];
        for (path, name) in table {
            assert_eq!(page_name(path), name);
        }
    }
}
