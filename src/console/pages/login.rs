use maud::{DOCTYPE, Markup, html};

/// A login that is asked for.
pub struct Login<'a> {
    /// The page that is opened afterwards.
    pub next: &'a str,
    /// The token was wrong.
    pub is_wrong: bool,
}

/// The login.
pub fn login(it: &Login<'_>) -> Markup {
    html! {
        h1 { "Log in" }
        @if it.is_wrong {
            p.warning role="alert" { "This is neither admin.token nor admin.viewer_token." }
        }
        form.confirm action="/console/login" method="post" {
            input type="hidden" name="next" value=(it.next);
            div.field {
                label for="token" { "Token" }
                input #token name="token" type="password" required autocomplete="current-password"
                    aria-describedby="hint";
                p.hint #hint {
                    "admin.token of the settings, or admin.viewer_token to read only. The session ends after 12 hours."
                }
            }
            button { "Log in" }
        }
    }
}

/// A page that opens another one of this origin: a browser sends no strict cookie with a link of another
/// origin, such as an alert's, but it sends it from here.
pub fn refresh(to: &str) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="refresh" content={ "0; url=" (to) };
                title { "Postcall" }
            }
            body { p { a href=(to) { "Continue" } } }
        }
    }
}
