//! `<Redirect>`: continues with another document.

use super::verb::{Site, Step};
use crate::context::Context;

pub(super) fn start(redirect: &rcml::Redirect, site: &mut Site<'_>, cx: &mut Context) -> Step {
    if redirect.url.is_empty() {
        return Step::Next;
    }
    let Some(url) = site.address(&redirect.url, cx) else {
        return site.bad_address(cx);
    };
    if site.count_redirect(cx) {
        return site.redirect_loop(&url, cx);
    }
    let params = site.voice_params(cx);
    site.fetch(url, redirect.method, params, cx)
}
