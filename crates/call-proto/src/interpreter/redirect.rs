//! `<Redirect>`: go on with another document.

use std::time::Duration;

use model::address::redacted;
use model::error;

use super::Next;
use super::document::Purpose;
use crate::call::Call;
use crate::context::Context;
use crate::fact::Reason;

/// A document that runs for so long is no part of a circle.
const TAKES_TIME: Duration = Duration::from_secs(1);

impl Call {
    pub(super) fn redirect_verb(&mut self, redirect: &rcml::Redirect, cx: &mut Context) -> Next {
        if redirect.url.is_empty() {
            return Next::Verb;
        }
        let Some(url) = self.address(&redirect.url, cx) else {
            return self.bad_address(cx);
        };
        if self.count_redirect(cx) {
            return self.redirect_loop(&url, cx);
        }
        let params = self.voice_params(cx);
        Next::Wait(self.fetch(url, redirect.method, params, Purpose::FollowUp, cx))
    }

    /// Counts a document that follows another; true when too many in a row took no time.
    pub(super) fn count_redirect(&mut self, cx: &Context) -> bool {
        let is_over = self.ended.is_some();
        let Some(run) = &mut self.run else {
            return true;
        };
        // Nobody can hang up any more.
        if !is_over && cx.now.since(run.document_since) >= TAKES_TIME {
            run.redirects = 0;
        }
        run.redirects += 1;
        run.redirects > cx.settings.max_redirects
    }

    pub(super) fn redirect_loop(&mut self, url: &str, cx: &mut Context) -> Next {
        let text = format!(
            "documents redirect in a circle; the last was {}",
            redacted(url)
        );
        cx.notify(self.about(Some(url)), error::TOO_MANY_REDIRECTS, &text);
        self.fail(500, "redirect loop", Reason::RedirectLoop, cx);
        Next::End
    }
}
