//! A text that is a keyword such as STOP, for an application: what it brings about, and how it is answered.
//!
//! **Invariant: the opt-out and the text that began it are one commit**, and of several equal keywords only the first is answered.

use model::opt_out::{self, OptOut, OptOutSettings, OptOutType};
use model::record::Message;
use model::{MessageSid, OptOutSid};
use serde::{Deserialize, Serialize};

use super::run::TextArrival;
use crate::dialect::Dialect;

/// A text that is a keyword, and what follows from it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Keyword {
    /// The keyword itself.
    pub word: String,
    /// What it means.
    pub kind: OptOutType,
    /// Whether it begins an opt-out.
    pub begins: bool,
    /// The opt-outs that it ends.
    pub ends: Vec<OptOutSid>,
    /// The answer: the identifier of its message, and its text.
    pub reply: Option<(MessageSid, String)>,
}

impl Keyword {
    /// The keyword that a text is.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let (word, kind) = opt_out::keyword(text)?;
        Some(Self {
            word: word.to_owned(),
            kind,
            begins: false,
            ends: Vec::new(),
            reply: None,
        })
    }
}

impl TextArrival {
    /// Decides what the keyword brings about, if it has an effect here: of several equal ones, only the first is
    /// answered, unless it is a question.
    ///
    /// - `known`: the opt-outs of the sender from the number
    /// - `reply`: identifier of the answer
    pub fn settle_keyword(
        &mut self,
        settings: &OptOutSettings,
        known: Vec<OptOutSid>,
        reply: MessageSid,
    ) {
        let is_on = settings
            .keywords
            .unwrap_or(self.dialect.name == Dialect::TWILIO.name);
        let Some(keyword) = self.keyword.as_mut().filter(|_| is_on) else {
            self.keyword = None;
            return;
        };
        let is_answered = match keyword.kind {
            OptOutType::Stop => {
                keyword.begins = known.is_empty();
                keyword.begins
            }
            OptOutType::Start => {
                keyword.ends = known;
                !keyword.ends.is_empty()
            }
            OptOutType::Help => true,
        };
        if is_answered {
            let text = settings.replies.to(keyword.kind);
            keyword.reply = text.map(|text| (reply, text.to_owned()));
        }
    }

    /// The opt-out that the text begins.
    ///
    /// - `message`: its record
    #[must_use]
    pub fn opt_out(&self, message: &Message) -> Option<OptOut> {
        let keyword = self.keyword.as_ref().filter(|keyword| keyword.begins)?;
        Some(OptOut {
            // The message and the opt-out name each other.
            sid: OptOutSid::from_bytes(*message.sid.as_bytes()),
            account: self.account,
            number: opt_out::party(&self.to),
            recipient: opt_out::party(&self.from),
            keyword: Some(keyword.word.clone()),
            created: message.created,
            updated: message.created,
        })
    }
}
