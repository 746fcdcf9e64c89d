use actix_web::http::StatusCode;

/// Why a request is turned down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    Unauthenticated,
    NoSuchResource,
    UnknownCall,
    WrongMethod,
    /// Not in Plivo's document: the bound is ours.
    BodyTooLarge,
    Rating,
    Issues,
}

impl Refusal {
    pub fn status(self) -> StatusCode {
        match self {
            Refusal::Unauthenticated => StatusCode::UNAUTHORIZED,
            Refusal::NoSuchResource | Refusal::UnknownCall => StatusCode::NOT_FOUND,
            Refusal::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::Rating | Refusal::Issues => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }

    /// The words of Plivo's document ("Post call quality feedback", HTTP responses). It spells two
    /// issues with other names than its own table of arguments.
    pub fn text(self) -> &'static str {
        match self {
            Refusal::Unauthenticated => "Authentication failed",
            Refusal::NoSuchResource => "Resource cannot be found",
            Refusal::UnknownCall => "Please check the Call UUID",
            Refusal::WrongMethod => "HTTP method not allowed",
            Refusal::BodyTooLarge => "The body is larger than 64 KiB",
            Refusal::Rating => "Rating has to be a float between 1 -5",
            Refusal::Issues => {
                "Issues have to be an array of one or more than one of the following: AUDIO_LAG, \
                 BROKEN_AUDIO, CALL_DROPPPED, CALLERID_ISSUES, DIGITS_NOT_CAPTURED, ECHO, \
                 HIGH_CONNECT_TIME, LOW_AUDIO_LEVEL, ONE_WAY_AUDIO, OTHERS, ROBOTIC_AUDIO"
            }
        }
    }
}
