use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpResponse, web};
use jiff::Timestamp;
use tracing::Instrument;

use super::super::api::{AdminTokens, Gate, LoopbackError, Visitor};
use super::super::origin::{Site, only, site};
use super::super::probes::AdminListener;
use super::respond::{PageError, html, see_other};
use crate::admin::Role;
use crate::console::{self, SESSION_COOKIE, Session, Shell};

/// What becomes of a request before a page sees it.
enum Access {
    LetIn(Visitor),
    /// To a page that needs no session: the login and what it is made of.
    Open,
    ToLogin,
    /// The session's cookie, which is strict, may not have come with a link of another origin.
    ComeAgain,
    Denied(PageError),
}

/// Pages that are open without a session.
fn is_open(path: &str) -> bool {
    path == "/console/login" || path.starts_with("/console/assets/")
}

/// Forms that act on nothing that a viewer may not act on.
fn is_for_viewers(path: &str) -> bool {
    ["/console/logout", "/console/playground"].contains(&path)
}

fn access(gate: &Gate, now: Timestamp, method: &Method, path: &str, headers: &HeaderMap) -> Access {
    let forbidden = |detail: &str| Access::Denied(PageError::new(StatusCode::FORBIDDEN, detail));
    let tokens = gate.tokens();
    if tokens.token.is_none()
        && let Err(error) = gate.check_loopback(headers)
    {
        return match error {
            LoopbackError::IsOff => Access::Denied(PageError::new(
                StatusCode::NOT_FOUND,
                "the console is off: this listener can be reached from other hosts, and the settings have \
                 no admin.token",
            )),
            LoopbackError::NamesAnother => forbidden(
                "without an admin.token the console answers to this host's own names alone, such as localhost",
            ),
            LoopbackError::IsNotDirect => forbidden(
                "without an admin.token the console does not answer what a proxy passes on: set admin.token",
            ),
        };
    }
    // Cookies know no ports: SameSite alone does not keep the pages of another port of this host out.
    if !method.is_safe() && site(headers) != Site::Own {
        return forbidden("only a page of the console may do this: open the console itself");
    }
    if is_open(path) {
        return Access::Open;
    }
    if tokens.token.is_none() {
        return Access::LetIn(Visitor { role: Role::Operator, by: "loopback", session: None });
    }
    match session(&tokens, headers, now) {
        Some(Session { role: Role::Viewer, .. }) if !method.is_safe() && !is_for_viewers(path) => {
            forbidden("you are logged in with admin.viewer_token, which only reads")
        }
        Some(Session { role, id }) => {
            Access::LetIn(Visitor { role, by: "session", session: Some(id) })
        }
        None if method.is_safe() && comes_from_elsewhere(headers) => Access::ComeAgain,
        None => Access::ToLogin,
    }
}

pub(super) async fn let_in(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let listener = request.app_data::<web::Data<AdminListener>>().expect("the listener is there");
    let (gate, now) = (&listener.api.gate, listener.console.clock.now());
    let access = access(gate, now, request.method(), request.path(), request.headers());
    let listener = listener.clone();
    let visitor = match access {
        Access::LetIn(visitor) => {
            request.extensions_mut().insert(visitor);
            Some(visitor)
        }
        Access::Open => None,
        refused => {
            let response = instead(refused, request.uri().path_and_query().map(|it| it.as_str()));
            return Ok(request.into_response(response).map_into_right_body());
        }
    };
    let span = tracing::info_span!("by_hand", by = visitor.map_or("open", |it| it.by));
    let response = next.call(request).instrument(span).await?;
    let problem = response.response().extensions().get::<PageError>().cloned();
    let (Some(problem), Some(visitor)) = (problem, visitor) else {
        return Ok(response.map_into_left_body());
    };
    let config = listener.console.config();
    let page = problem.within(Shell {
        title: problem.title(),
        environment: config.environment.as_deref(),
        role: Some(visitor.role),
        has_session: visitor.session.is_some(),
        tab: None,
        refresh: None,
    });
    Ok(response.into_response(page).map_into_right_body())
}

fn instead(access: Access, asked: Option<&str>) -> HttpResponse {
    let asked = asked.unwrap_or("/console/");
    match access {
        Access::ComeAgain => html(StatusCode::OK, &console::refresh(asked)),
        Access::Denied(problem) => problem.answer(),
        Access::ToLogin | Access::LetIn(_) | Access::Open => {
            let pairs = [("next", asked)];
            see_other(&console::link("/console/login", pairs.into_iter()))
        }
    }
}

/// The session that a request brings.
fn session(tokens: &AdminTokens, headers: &HeaderMap, now: Timestamp) -> Option<Session> {
    let known = [(Role::Operator, &tokens.token), (Role::Viewer, &tokens.viewer_token)];
    let known: Vec<_> = known
        .into_iter()
        .filter_map(|(role, token)| Some((role, token.as_ref()?.tokens())))
        .collect();
    // Other services of this host, on other ports, may have set a cookie of the same name.
    let cookies = headers.get_all(header::COOKIE).filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().strip_prefix(SESSION_COOKIE)?.strip_prefix('='))
        .find_map(|cookie| {
            let tokens =
                known.iter().flat_map(|(role, tokens)| tokens.iter().map(|token| (*role, token)));
            console::session_of(cookie, tokens, now)
        })
}

/// The page that a login opens: one of the console, and no address that a browser could read as another's.
pub(super) fn path_after_login(next: &str) -> &str {
    let is_plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if next.starts_with("/console/") && is_plain && !is_open(next) { next } else { "/console/" }
}

/// Whether a link of another origin led here: by the fetch metadata or, where a browser does not send it, by
/// the referrer.
fn comes_from_elsewhere(headers: &HeaderMap) -> bool {
    if headers.contains_key("sec-fetch-site") {
        return site(headers) == Site::Foreign;
    }
    let Some(referrer) = only(headers, header::REFERER) else { return false };
    let host = only(headers, header::HOST).unwrap_or_default();
    let rest = [&b"https://"[..], b"http://"].iter().find_map(|it| referrer.strip_prefix(*it));
    let authority = rest.and_then(|rest| rest.split(|byte| *byte == b'/').next());
    authority.is_some_and(|authority| !authority.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_opens_pages_of_the_console_alone() {
        for own in ["/console/", "/console/submissions?state=dead&since=24h", "/console/calls/c-1"]
        {
            assert_eq!(path_after_login(own), own);
        }
        for other in [
            "",
            "//evil.test/console/",
            "https://evil.test/console/",
            "/\\evil.test/console/",
            "/console/\\evil.test",
            "/console/\r\nset-cookie: a=b",
            "/api/v1/submissions",
            "/console/login",
        ] {
            assert_eq!(path_after_login(other), "/console/", "{other}");
        }
    }
}
