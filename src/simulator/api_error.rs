use actix_web::http::StatusCode;

/// Why a request is turned down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiError {
    Unauthenticated,
    NoSuchResource,
    UnknownCall,
    WrongMethod,
    /// Not in Plivo's document: the bound is ours.
    BodyTooLarge,
    Rating,
    Issues,
}

impl ApiError {
    pub fn status(self) -> StatusCode {
        match self {
            ApiError::Unauthenticated => StatusCode::UNAUTHORIZED,
            ApiError::NoSuchResource | ApiError::UnknownCall => StatusCode::NOT_FOUND,
            ApiError::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            ApiError::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ApiError::Rating | ApiError::Issues => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }

    /// The words of Plivo's document ("Post call quality feedback", HTTP responses). It spells two
    /// issues with other names than its own table of arguments.
    pub fn text(self) -> &'static str {
        match self {
            ApiError::Unauthenticated => "Authentication failed",
            ApiError::NoSuchResource => "Resource cannot be found",
            ApiError::UnknownCall => "Please check the Call UUID",
            ApiError::WrongMethod => "HTTP method not allowed",
            ApiError::BodyTooLarge => "The body is larger than 64 KiB",
            ApiError::Rating => "Rating has to be a float between 1 -5",
            ApiError::Issues => {
                "Issues have to be an array of one or more than one of the following: AUDIO_LAG, \
                 BROKEN_AUDIO, CALL_DROPPPED, CALLERID_ISSUES, DIGITS_NOT_CAPTURED, ECHO, \
                 HIGH_CONNECT_TIME, LOW_AUDIO_LEVEL, ONE_WAY_AUDIO, OTHERS, ROBOTIC_AUDIO"
            }
        }
    }
}
