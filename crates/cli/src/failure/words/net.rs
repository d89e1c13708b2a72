//! The words for what a manager and its clients say to each other.

use azud_core::code::Code;
use azud_server::ServerError;
use azud_store::StoreError;
use azud_transport::NetError;

use super::{Words, bad_piece, interrupted, of, plain, store};
use crate::commands::repo::{is_logged_in, login_has_ended};

/// Of what a client sends.
pub(super) fn upload(error: &StoreError) -> Words {
    match error {
        StoreError::BadUpload { path, reason } => of("bad-upload", path).term("reason", reason),
        StoreError::Coming(path) => of("coming", path),
        other => store(other),
    }
}

/// The code of what a manager or the way to it says.
pub(in crate::failure) fn net_code(error: &NetError) -> Code {
    match error {
        // That the computer's own token is no good either is not why the work stopped.
        NetError::Unauthorised { host } if login_has_ended(host) => Code::TokenExpired,
        _ => error.code(),
    }
}

pub(in crate::failure) fn net(error: &NetError) -> Words {
    let host = |key, host: &str| Words::new(key, [("host", host.to_owned())]);
    let named = |key, name: &str| Words::new(key, [("name", name.to_owned())]);
    match error {
        NetError::Unreachable { host: it, .. } => host("net-unreachable", it),
        NetError::Nameless { host: it, name, .. } => {
            named("net-nameless", name).with("host", it.clone())
        }
        NetError::Untrusted { host: it } => host("net-untrusted", it),
        NetError::WrongPin {
            host: it,
            found,
            wanted,
        } => host("net-wrong-pin", it)
            .with("found", found.clone())
            .with("wanted", wanted.clone()),
        NetError::Unauthorised { host: it } if is_logged_in(it) => {
            host("net-unauthorised-login", it)
        }
        NetError::Unauthorised { host: it } if login_has_ended(it) => host("net-login-ended", it),
        NetError::Unauthorised { host: it } => host("net-unauthorised", it),
        NetError::BadLogin { host: it } => host("net-bad-login", it),
        NetError::TokenExpired { host: it } => host("net-token-expired", it),
        NetError::TokenElsewhere { host: it } => host("net-token-elsewhere", it),
        NetError::MayOnlyRead { host: it } => host("net-may-only-read", it),
        NetError::NotItsImage { host: it, name } => {
            host("net-not-its-image", it).with("name", name.clone())
        }
        NetError::OnlyReadOut { host: it } => host("net-only-read-out", it),
        NetError::NotFound { name } => named("net-not-found", name),
        NetError::Changed { name } => named("net-changed", name),
        NetError::Later {
            host: it, detail, ..
        } => later(it, detail),
        NetError::Refused {
            host: it,
            status,
            detail,
        } => refused(it, *status, detail),
        NetError::Said {
            host: it,
            code,
            detail,
            ..
        } => told(it, *code, detail),
        NetError::Lost { host: it, bytes } => host("net-lost", it).with("bytes", bytes.to_string()),
        NetError::Interrupted(_) => interrupted(),
        NetError::Source { name, .. } => named("net-source", name),
        NetError::Damaged { name, offset } => {
            named("bad-piece", name).with("offset", offset.to_string())
        }
        NetError::Protocol { host: it, what } => host("net-protocol", it).term("what", what),
        NetError::BadCertificate => plain("net-bad-certificate"),
    }
}

fn later(host: &str, detail: &str) -> Words {
    let host = [("host", host.to_owned())];
    match detail {
        "" => Words::new("net-later-bare", host),
        detail => Words::new("net-later", host).term("detail", detail),
    }
}

/// Somebody between here and a manager may answer without a word.
fn refused(host: &str, status: u16, detail: &str) -> Words {
    let values = [("host", host.to_owned()), ("status", status.to_string())];
    match detail {
        "" => Words::new("net-refused-bare", values),
        detail => Words::new("net-refused", values).term("detail", detail),
    }
}

/// What a manager says of an image, in the words that an error of the same kind has here.
fn told(host: &str, code: Code, detail: &str) -> Words {
    if let (Code::PlaceNotMounted, Some(place)) = (code, detail.strip_suffix(" is not mounted")) {
        let host = [("host", host.to_owned())];
        return Words::new("net-not-mounted", host).with("place", place.to_owned());
    }
    let Some(words) = of_store(code, detail) else {
        let key = match code {
            Code::PlaceGone | Code::PlaceNotMounted => "net-place",
            _ => "net-said",
        };
        return Words::new(key, [("host", host.to_owned())]).term("detail", detail);
    };
    Words {
        about: Some(host.to_owned()),
        ..words
    }
}

/// The store's message is taken apart as it was put together there; `None` for what is not like one.
fn of_store(code: Code, detail: &str) -> Option<Words> {
    let words = |key, path: &str| Words::new(key, [("path", path.to_owned())]);
    Some(match code {
        Code::TooLittleRoom => {
            let (path, numbers) = detail.split_once(" needs ")?;
            let (needs, has) = numbers.split_once(" bytes of room, there are ")?;
            words("too-little-room", path)
                .with("needs", needs.to_owned())
                .with("has", has.trim_end_matches(" bytes").to_owned())
        }
        Code::FileTooLarge => {
            let (path, numbers) = detail.split_once(" has ")?;
            let (size, limit) = numbers.split_once(" bytes, the file system holds files of ")?;
            let limit = limit.split(' ').next().unwrap_or_default();
            words("file-too-large", path)
                .with("size", size.to_owned())
                .with("limit", limit.to_owned())
        }
        Code::NoSpace => words("no-space", detail.strip_prefix("no space left for ")?),
        Code::ReadOnly => {
            let path = detail.strip_suffix(" lies on a read-only file system")?;
            words("read-only", path)
        }
        Code::NotFound => words("not-found", detail.strip_prefix("there is no ")?),
        Code::CaseTwin => case_twin(detail.strip_prefix("there is no ")?)?,
        Code::NotAFile => not_a_file(detail)?,
        Code::Corrupt => {
            let (name, offset) = detail.split_once(" is damaged at offset ")?;
            bad_piece(name, offset)
        }
        Code::Locked => locked(detail)?,
        Code::HalfMoved => {
            let image = detail.strip_prefix("a part of ")?;
            let image = image.strip_suffix(" lies in an update of it that was broken off")?;
            Words::new("half-moved", [("image", image.to_owned())])
        }
        Code::NoSuchVersion => {
            let path = detail.strip_suffix(" has no former version")?;
            words("no-former-version", path)
        }
        Code::NoUpload => {
            let path = detail.strip_prefix("what was sent of ")?;
            words("sent-is-gone", path.strip_suffix(" is not there any more")?)
        }
        Code::BadUpload => {
            let (path, reason) = detail.split_once(" cannot be received: ")?;
            words("bad-upload", path).term("reason", reason)
        }
        _ => return None,
    })
}

fn case_twin(detail: &str) -> Option<Words> {
    let words = |key, wanted: &str| Words::new(key, [("wanted", wanted.to_owned())]);
    if let Some(wanted) = detail.strip_suffix(", but one in another case") {
        return Some(words("case-twin-hidden", wanted));
    }
    let (wanted, there) = detail.strip_suffix(" is there")?.split_once(", but ")?;
    let there = there.trim_matches('"').to_owned();
    Some(words("case-twin", wanted).with("there", there))
}

/// What stands where an image, or a folder on its way, should be.
fn not_a_file(detail: &str) -> Option<Words> {
    let words =
        |key, path: &str, what| Words::new(key, [("path", path.to_owned())]).term("what", what);
    if let Some(said) = detail.strip_suffix(", not the file of an image") {
        let (path, what) = said.rsplit_once(" is ")?;
        return Some(words("not-a-file", path, what));
    }
    let at = detail.rfind(" is not a directory")?;
    let what = detail[at..].strip_prefix(" is ")?;
    Some(words("not-a-directory", &detail[..at], what))
}

/// The lock of an image that an Azud has, the manager or another program beside it.
fn held(detail: &str) -> Option<Words> {
    let (image, by) = detail.split_once(" is locked by azud on ")?;
    let (host, by) = by.split_once(", process ")?;
    let (pid, since) = by.split_once(", since ")?;
    let (key, since, sender) = match since.split_once(", to which ") {
        Some((since, sender)) => ("held-sent", since, sender.strip_suffix(" sends it")?),
        None => ("held-azud", since, ""),
    };
    let values = [
        ("image", image),
        ("host", host),
        ("pid", pid),
        ("since", since),
        ("sender", sender),
    ];
    Some(Words::new(
        key,
        values.map(|(name, text)| (name, text.to_owned())),
    ))
}

/// Who works with an image of a manager.
fn locked(detail: &str) -> Option<Words> {
    let words = |key, image: &str, sender: &str| {
        Words::new(key, [("image", image.to_owned())]).with("sender", sender.to_owned())
    };
    if let Some(path) = detail.strip_prefix("somebody else is changing ") {
        return Some(Words::new("locked", [("path", path.to_owned())]));
    }
    if let Some(words) = held(detail) {
        return Some(words);
    }
    if let Some(said) = detail.strip_suffix(" and is being put together") {
        let (image, sender) = said.split_once(" came from ")?;
        return Some(words("put-together", image, sender));
    }
    let (image, said) = detail.split_once(" is being received from ")?;
    let (sender, said) = said.split_once(", which lapses after ")?;
    let seconds = said.strip_suffix(" seconds without a sign of life")?;
    Some(words("being-sent", image, sender).with("seconds", seconds.to_owned()))
}

pub(in crate::failure) fn server(error: &ServerError) -> Words {
    match error {
        ServerError::Io { action, path, .. } => of("store-io", path).term("op", action),
        ServerError::Listen { address, .. } => {
            Words::new("server-listen", [("address", address.to_string())])
        }
        ServerError::BadCertificate(path) => of("server-bad-certificate", path),
        ServerError::OtherKey(path) => of("server-other-key", path),
        ServerError::NoState(path) => of("server-no-state", path),
        ServerError::Open(path) => of("server-open", path),
        ServerError::Certificate(_) => plain("server-certificate"),
        ServerError::Tls(_) => plain("server-tls"),
        ServerError::Start(_) => plain("server-start"),
        ServerError::Store(error) => store(error),
    }
}
