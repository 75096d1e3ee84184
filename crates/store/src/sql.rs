//! Statements: the few forms of SQL that this crate writes.
//!
//! **Invariant: outside values enter a statement as arguments only, never as text.**

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::OnceLock;

use model::{
    AccountSid, AccountStatus, ApplicationSid, AuditSid, CallSid, CallStatus, ClientSid,
    ConferenceSid, ConferenceStatus, DialectName, Direction, EmailSid, EmailStatus, EventSid,
    ExtensionSid, GatewaySid, GeolocationSid, HangupBy, HttpMethod, InstanceSid, InteractionSid,
    KeySid, Lane, MaskServiceSid, MaskSessionSid, MessageDirection, MessageRouteSid, MessageSid,
    MessageStatus, NotificationSid, NumberSid, OptOutSid, OrganizationSid, OrganizationStatus,
    ParticipantSid, ProfileSid, QueueSid, RecordingSid, RecordingSource, RecordingStatus,
    ServerSid, Timestamp, TranscriptionSid, TranscriptionStatus, UsageTriggerSid, VerificationSid,
    VerifyAttemptSid, VerifyBucketSid, VerifyLimitSid, VerifySafeSid, VerifyServiceSid,
    VoicemailBoxSid, VoicemailSid,
};

use crate::filter::RowKey;

/// Rows that a statement changes at most where there may be any number of them. It must take much less
/// time than a server may be silent, and nothing else is written meanwhile.
pub(crate) const ROWS_AT_ONCE: i64 = 10_000;

/// An argument: its type is known also when it is null.
#[derive(Debug, Clone)]
pub(crate) enum Arg {
    Int(Option<i64>),
    Text(Option<String>),
    Blob(Option<Vec<u8>>),
}

impl Arg {
    /// Whether it comes before another value of a column that is sorted by bytes.
    pub(crate) fn is_below(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Int(one), Self::Int(other)) => one < other,
            (Self::Text(one), Self::Text(other)) => one < other,
            (Self::Int(_) | Self::Text(_) | Self::Blob(_), _) => false,
        }
    }
}

/// PostgreSQL takes no NUL in a text, and a remote party may write one.
fn storable(text: String) -> String {
    if text.contains('\0') {
        text.replace('\0', "\u{fffd}")
    } else {
        text
    }
}

macro_rules! into_arg {
    ($($type:ty => |$value:ident| $arg:expr;)+) => {
        $(impl From<$type> for Arg {
            fn from($value: $type) -> Self {
                $arg
            }
        })+
    };
}

into_arg! {
    i64 => |value| Self::Int(Some(value));
    Option<i64> => |value| Self::Int(value);
    Option<u16> => |value| Self::Int(value.map(i64::from));
    Option<u32> => |value| Self::Int(value.map(i64::from));
    bool => |value| Self::Int(Some(i64::from(value)));
    Timestamp => |value| Self::Int(Some(value.0));
    Option<Timestamp> => |value| Self::Int(value.map(|time| time.0));
    String => |value| Self::Text(Some(storable(value)));
    &str => |value| Self::Text(Some(storable(value.to_owned())));
    Option<String> => |value| Self::Text(value.map(storable));
    Vec<u8> => |value| Self::Blob(Some(value));
    Option<Vec<u8>> => |value| Self::Blob(value);
    CallStatus => |value| value.as_str().into();
    ConferenceStatus => |value| value.as_str().into();
    AccountStatus => |value| value.as_str().into();
    OrganizationStatus => |value| value.as_str().into();
    Direction => |value| value.as_str().into();
    DialectName => |value| value.as_str().into();
    MessageDirection => |value| value.as_str().into();
    MessageStatus => |value| value.as_str().into();
    EmailStatus => |value| value.as_str().into();
    RecordingSource => |value| value.as_str().into();
    RecordingStatus => |value| value.as_str().into();
    TranscriptionStatus => |value| value.as_str().into();
    Option<HangupBy> => |value| value.map(|by| by.as_str().to_owned()).into();
    HttpMethod => |value| value.as_str().into();
    Option<HttpMethod> => |value| value.map(|method| method.as_str().to_owned()).into();
}

macro_rules! sids_into_arg {
    ($($sid:ty),+) => {
        into_arg! { $(
            $sid => |value| value.to_string().into();
            Option<$sid> => |value| value.map(|sid| sid.to_string()).into();
        )+ }
    };
}
sids_into_arg!(
    AccountSid,
    ApplicationSid,
    AuditSid,
    CallSid,
    ClientSid,
    ConferenceSid,
    EmailSid,
    EventSid,
    ExtensionSid,
    GatewaySid,
    GeolocationSid,
    InstanceSid,
    InteractionSid,
    KeySid,
    Lane,
    MaskServiceSid,
    MaskSessionSid,
    ParticipantSid,
    MessageRouteSid,
    MessageSid,
    NotificationSid,
    NumberSid,
    OptOutSid,
    OrganizationSid,
    ProfileSid,
    QueueSid,
    RecordingSid,
    ServerSid,
    TranscriptionSid,
    UsageTriggerSid,
    VerificationSid,
    VerifyAttemptSid,
    VerifyBucketSid,
    VerifyLimitSid,
    VerifySafeSid,
    VerifyServiceSid,
    VoicemailBoxSid,
    VoicemailSid
);

/// A list of arguments of any types.
macro_rules! args {
    ($($value:expr),* $(,)?) => { vec![$($crate::sql::Arg::from($value)),*] };
}
pub(crate) use args;

/// A statement with its arguments.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sql {
    text: Cow<'static, str>,
    args: Vec<Arg>,
}

impl Sql {
    /// A text whose `$1`, `$2` … are `args`.
    pub(crate) fn new(text: impl Into<Cow<'static, str>>, args: Vec<Arg>) -> Self {
        Self {
            text: text.into(),
            args,
        }
    }

    /// The statement.
    pub(crate) fn as_text(&self) -> &str {
        &self.text
    }

    /// Its arguments: `$1` is the first.
    pub(crate) fn args(&self) -> &[Arg] {
        &self.args
    }

    /// Appends text that has no argument.
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.text.to_mut().push_str(text);
        self
    }

    /// The statement between two texts without arguments.
    pub(crate) fn inside(self, before: &str, after: &str) -> Self {
        Self {
            text: format!("{before}{}{after}", self.text).into(),
            args: self.args,
        }
    }

    /// The rows of several statements together: these are read side by side if they are then sorted as their indexes are.
    pub(crate) fn union_all(parts: Vec<Self>) -> Self {
        let mut union = Self::default();
        for (at, part) in parts.into_iter().enumerate() {
            let joint = if at == 0 { "" } else { " UNION ALL " };
            let text = renumbered(&part.text, union.args.len());
            union.text(joint).text(&text);
            union.args.extend(part.args);
        }
        union
    }

    /// Appends the condition that a row is older or newer than a key.
    pub(crate) fn beside(mut self, older: bool, key: &RowKey) -> Self {
        let sign = if older { '<' } else { '>' };
        self.with(&format!(" AND (created, sid) {sign} (?"), key.created)
            .with(", ?)", key.sid.as_str());
        self
    }

    /// Appends the condition that a column is one of these values.
    pub(crate) fn among<T: Copy + Into<Arg>>(&mut self, values: &[T]) -> &mut Self {
        self.text(" IN (");
        for (at, value) in values.iter().enumerate() {
            self.with(if at == 0 { "?" } else { ", ?" }, *value);
        }
        self.text(")")
    }

    /// Appends text whose `?` is `arg`.
    pub(crate) fn with(&mut self, text: &str, arg: impl Into<Arg>) -> &mut Self {
        self.args.push(arg.into());
        let place = format!("${}", self.args.len());
        let text = text.replacen('?', &place, 1);
        self.text.to_mut().push_str(&text);
        self
    }
}

/// A text whose first argument is the one after so many others.
fn renumbered(text: &str, others: usize) -> String {
    let mut pieces = text.split('$');
    let mut renumbered = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let end = piece.find(|c: char| !c.is_ascii_digit());
        let (number, rest) = piece.split_at(end.unwrap_or(piece.len()));
        let number = number.parse::<usize>().unwrap_or_default();
        let _ = write!(renumbered, "${}{rest}", number + others);
    }
    renumbered
}

/// A table whose first column identifies the row.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// Whether the table `counters` knows how many rows each account has here.
    pub(crate) counted: bool,
    pub(crate) columns: &'static [&'static str],
    /// The text of [`Table::insert_once`], which is written many times for each call.
    pub(crate) insert_once: OnceLock<String>,
}

impl Table {
    /// `SELECT` of all columns, up to `FROM table`.
    pub(crate) fn select(&self) -> Sql {
        Sql::new(
            format!("SELECT {} FROM {}", self.columns.join(", "), self.name),
            Vec::new(),
        )
    }

    /// Inserts a row; `args` are the columns in order.
    pub(crate) fn insert(&self, args: Vec<Arg>) -> Sql {
        let mut places = String::new();
        for at in 1..=self.columns.len() {
            let comma = if at == 1 { "" } else { ", " };
            let _ = write!(places, "{comma}${at}");
        }
        let (name, columns) = (self.name, self.columns.join(", "));
        Sql::new(
            format!("INSERT INTO {name} ({columns}) VALUES ({places})"),
            args,
        )
    }

    /// Inserts a row unless it is there.
    pub(crate) fn insert_once(&'static self, args: Vec<Arg>) -> Sql {
        let text = self.insert_once.get_or_init(|| {
            let mut sql = self.insert(Vec::new());
            let key = self.columns[0];
            sql.text(&format!(" ON CONFLICT ({key}) DO NOTHING"));
            sql.text.into_owned()
        });
        Sql::new(text.as_str(), args)
    }

    /// Replaces all columns of a row; `args` are the columns in order.
    pub(crate) fn update(&self, args: Vec<Arg>) -> Sql {
        let sets: Vec<String> = (2..)
            .zip(&self.columns[1..])
            .map(|(at, column)| format!("{column} = ${at}"))
            .collect();
        Sql::new(
            format!(
                "UPDATE {} SET {} WHERE {} = $1",
                self.name,
                sets.join(", "),
                self.columns[0]
            ),
            args,
        )
    }

    /// The same, unless the row has changed since it was read.
    ///
    /// - `read`: its column `updated` as read; the new value must be another
    /// - `repeated`: the statement may already have been carried out, on a connection that broke
    pub(crate) fn update_unchanged(&self, args: Vec<Arg>, read: Timestamp, repeated: bool) -> Sql {
        let mut sql = self.update(args);
        sql.with(" AND (updated = ?", read);
        let own = self.columns.iter().position(|column| *column == "updated");
        if let Some(at) = own.filter(|_| repeated) {
            sql.text(&format!(" OR updated = ${}", at + 1));
        }
        sql.text(")");
        sql
    }

    /// Deletes a row.
    pub(crate) fn delete(&self, key: impl Into<Arg>) -> Sql {
        let mut sql = Sql::default();
        sql.text(&format!("DELETE FROM {}", self.name))
            .with(&format!(" WHERE {} = ?", self.columns[0]), key);
        sql
    }
}

/// The `LIKE` pattern for a text that may hold `%` and `_`; use with `ESCAPE '\'`.
pub(crate) fn pattern(text: &str) -> String {
    text.to_lowercase().replace('\\', "\\\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    static T: Table = Table {
        name: "t",
        counted: false,
        columns: &["a", "b", "updated"],
        insert_once: OnceLock::new(),
    };

    #[test]
    fn writes_statements() {
        let row = || args![1, "x", Timestamp(9)];
        let table = [
            (T.select(), "SELECT a, b, updated FROM t"),
            (
                T.insert_once(vec![]),
                "INSERT INTO t (a, b, updated) VALUES ($1, $2, $3) ON CONFLICT (a) DO NOTHING",
            ),
            (
                T.update(vec![]),
                "UPDATE t SET b = $2, updated = $3 WHERE a = $1",
            ),
            (
                T.update_unchanged(row(), Timestamp(8), false),
                "UPDATE t SET b = $2, updated = $3 WHERE a = $1 AND (updated = $4)",
            ),
            (
                T.update_unchanged(row(), Timestamp(8), true),
                "UPDATE t SET b = $2, updated = $3 WHERE a = $1 AND (updated = $4 OR updated = $3)",
            ),
            (T.delete(7), "DELETE FROM t WHERE a = $1"),
        ];
        for (sql, text) in table {
            assert_eq!(sql.text, text);
        }
    }

    #[test]
    fn a_union_numbers_its_arguments_anew() {
        let part = |n: i64| {
            let mut sql = T.select();
            sql.with(" WHERE a = ?", n).with(" AND b = ?", n + 1);
            sql
        };
        let mut sql = Sql::union_all(vec![part(1), part(3)]);
        sql.with(" LIMIT ?", 5);
        assert_eq!(
            sql.text,
            "SELECT a, b, updated FROM t WHERE a = $1 AND b = $2 UNION ALL \
             SELECT a, b, updated FROM t WHERE a = $3 AND b = $4 LIMIT $5"
        );
        assert_eq!(sql.args.len(), 5);
    }

    #[test]
    fn numbers_arguments_as_they_come() {
        let mut sql = T.select();
        sql.with(" WHERE a = ?", 1).with(" AND b LIKE ?", "x%");
        assert_eq!(
            sql.text,
            "SELECT a, b, updated FROM t WHERE a = $1 AND b LIKE $2"
        );
        assert_eq!(sql.args.len(), 2);
    }
}
