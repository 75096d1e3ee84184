//! Changes that the API makes to a live call.

use model::address::redacted;
use model::error;

use crate::call::Call;
use crate::callback::CallbackTarget;
use crate::context::{Context, Letter};
use crate::dialect::Dialect;
use crate::event::{Modify, Redirect};
use crate::fact::Reason;
use crate::letter::{Ended, Role};
use crate::trace::Lane;

impl Call {
    pub(crate) fn handle_modify(&mut self, modify: Modify, cx: &mut Context) {
        if self.leg.is_over() {
            return;
        }
        match modify {
            Modify::Complete => {
                cx.trace(self.sid(), Lane::Api, "complete", "");
                self.leg.end_by_api(cx);
            }
            Modify::Cancel => {
                cx.trace(self.sid(), Lane::Api, "cancel", "");
                if self.leg.can_be_canceled() {
                    self.leg.end_by_api(cx);
                }
            }
            Modify::Redirect(redirect) => {
                cx.trace(
                    self.sid(),
                    Lane::Api,
                    "redirect",
                    &redacted(&redirect.document.url),
                );
                self.redirect(*redirect, cx);
            }
        }
    }

    /// Leaves what the leg is doing and runs another document on it.
    pub(crate) fn redirect(&mut self, redirect: Redirect, cx: &mut Context) {
        if self.leg.is_over() {
            return;
        }
        if self.leg.is_calling() && self.leg.profile.parent.is_none() {
            // Nothing runs yet: what will run is another document.
            self.change_dialect(redirect.dialect);
            if let Some(fork) = self.leg.fork() {
                let document = Box::new(redirect.document);
                cx.letter(Letter::Redirect { fork, document });
            }
            return;
        }
        if self.leg.is_calling() {
            let text = "the call is not answered yet; it was not redirected";
            cx.notify(
                self.leg.profile.about(Some(&redirect.document.url)),
                error::CALL_NOT_LIVE,
                text,
            );
            return;
        }
        let waits = self.leg.is_unanswered() && self.scripts.let_it_ring();
        let partner_moves = redirect.move_connected_leg;
        if let Some(bridge) = self.leg.bridge {
            let moved = partner_moves.then(|| Box::new(redirect.clone()));
            cx.letter(Letter::Dissolve {
                bridge,
                left: self.sid(),
                moved,
            });
        }
        self.leg.leave_screening(cx);
        self.detach_scripts(cx);
        let author = redirect.document.author;
        let told = |(url, method)| CallbackTarget {
            url,
            method,
            author,
        };
        self.change_dialect(redirect.dialect);
        let callback = redirect.status_callback.map(told);
        self.leg.reporter.retarget(callback);
        self.start_document(redirect.document, Role::Main, cx);
        if waits {
            self.scripts.caller_waited_for(487);
        }
    }

    /// A redirect starts a new run, in the dialect of the request.
    fn change_dialect(&mut self, dialect: Option<Dialect>) {
        let profile = &mut self.leg.profile;
        profile.dialect = dialect.unwrap_or(profile.dialect);
    }

    /// The bridge is gone because one leg of it was redirected; this is the other.
    pub(crate) fn partner_redirected(
        &mut self,
        left: model::CallSid,
        moved: Option<Box<Redirect>>,
        cx: &mut Context,
    ) {
        self.leg.bridge = None;
        match moved {
            Some(redirect) => self.redirect(
                Redirect {
                    move_connected_leg: false,
                    ..*redirect
                },
                cx,
            ),
            None => {
                self.scripts.abandon();
                self.bridge_over(Ended::Redirected(left), cx);
                self.end_leg(Reason::Api, cx);
            }
        }
    }
}
