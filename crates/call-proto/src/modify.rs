//! Changes that the API makes to a live call.

use model::address::redacted;
use model::error;

use crate::call::Call;
use crate::callback::CallbackTarget;
use crate::context::{Context, Letter};
use crate::event::{Modify, Redirect};
use crate::fact::Reason;
use crate::leg::Leg;
use crate::letter::Ended;
use crate::trace::Lane;

impl Call {
    pub(crate) fn handle_modify(&mut self, modify: Modify, cx: &mut Context) {
        if self.ended.is_some() {
            return;
        }
        match modify {
            Modify::Complete => {
                cx.trace(self.sid, Lane::Api, "complete", "");
                self.end_by_api(cx);
            }
            Modify::Cancel => {
                cx.trace(self.sid, Lane::Api, "cancel", "");
                match self.leg {
                    Leg::Alerting { .. }
                    | Leg::Answering { .. }
                    | Leg::Opening(_)
                    | Leg::Calling => self.end_by_api(cx),
                    Leg::AwaitingAck { .. } | Leg::Up | Leg::Over => {}
                }
            }
            Modify::Redirect(redirect) => {
                cx.trace(
                    self.sid,
                    Lane::Api,
                    "redirect",
                    &redacted(&redirect.document.url),
                );
                self.redirect(*redirect, cx);
            }
        }
    }

    fn end_by_api(&mut self, cx: &mut Context) {
        if let Leg::Alerting { .. } | Leg::Answering { .. } = self.leg {
            self.reject(487, None, cx);
            self.finish(model::CallStatus::Canceled, Reason::Api, cx);
        } else {
            self.end_leg(Reason::Api, cx);
        }
    }

    /// Leaves what the leg is doing and runs another document on it.
    pub(crate) fn redirect(&mut self, redirect: Redirect, cx: &mut Context) {
        if self.ended.is_some() {
            return;
        }
        if self.is_calling() && self.info.parent.is_none() {
            // Nothing runs yet: what will run is another document.
            cx.letter(Letter::RunInstead(Box::new(redirect.document)));
            return;
        }
        if self.is_calling() {
            let text = "the call is not answered yet; it was not redirected";
            cx.notify(
                self.about(Some(&redirect.document.url)),
                error::CALL_NOT_LIVE,
                text,
            );
            return;
        }
        let waits = self.waits_for_dial();
        let partner_moves = redirect.move_connected_leg;
        if let Some(bridge) = self.bridge {
            let moved = partner_moves.then(|| Box::new(redirect.clone()));
            cx.letter(Letter::Dissolve {
                bridge,
                left: self.sid,
                moved,
            });
        }
        self.detach_run(cx);
        let author = redirect.document.author;
        let told = |(url, method)| CallbackTarget {
            url,
            method,
            author,
        };
        self.number_callback = redirect.status_callback.map(told);
        self.told_status = Some(self.status);
        self.start_document(redirect.document, cx);
        if waits {
            self.dial_came_to_nothing(Some(487));
        }
    }

    /// The bridge is gone because one leg of it was redirected; this is the other.
    pub(crate) fn partner_redirected(
        &mut self,
        left: model::CallSid,
        moved: Option<Box<Redirect>>,
        cx: &mut Context,
    ) {
        self.bridge = None;
        match moved {
            Some(redirect) => self.redirect(
                Redirect {
                    move_connected_leg: false,
                    ..*redirect
                },
                cx,
            ),
            None => {
                if let Some(run) = &mut self.run {
                    run.abandon();
                }
                self.bridge_over(Ended::Redirected(left), cx);
                self.end_leg(Reason::Api, cx);
            }
        }
    }
}
