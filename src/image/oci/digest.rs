//! A digest: `sha256:` and the sum in hexadecimal, the name of everything.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use sha2::{Sha256, Sha512};

use crate::error::{Error, Result};

/// The name of a blob by its content. There is no value of this type that is
/// not well formed, so that it may be part of a path.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest {
    algorithm: Algorithm,
    hex: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Algorithm {
    Sha256,
    Sha512,
}

impl Algorithm {
    fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Hexadecimal digits.
    fn length(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

impl Digest {
    /// The SHA-256 of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::Sha256(Sha256::new());
        hasher.update(bytes);
        hasher.finish()
    }

    /// `sha256` or `sha512`: the directory below `blobs/` of an OCI image layout.
    pub fn algorithm(&self) -> &'static str {
        self.algorithm.name()
    }

    /// The sum, in lower-case hexadecimal digits.
    pub fn hex(&self) -> &str {
        &self.hex
    }

    /// The first twelve digits, as docker shows an id.
    pub fn short(&self) -> &str {
        &self.hex[..12]
    }

    /// Computes a sum of the same kind.
    pub fn hasher(&self) -> Hasher {
        match self.algorithm {
            Algorithm::Sha256 => Hasher::Sha256(Sha256::new()),
            Algorithm::Sha512 => Hasher::Sha512(Sha512::new()),
        }
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |why: &str| {
            let shown: String = text.chars().take(140).collect();
            Err(Error::new(format!("{shown:?} is no digest")).said(why).hint(
                "A digest is sha256: and 64 hexadecimal digits (or sha512: and 128), in small letters.",
            ))
        };
        let Some((name, hex)) = text.split_once(':') else {
            return wrong("it has no algorithm");
        };
        let Some(algorithm) =
            [Algorithm::Sha256, Algorithm::Sha512].into_iter().find(|one| one.name() == name)
        else {
            return wrong("its algorithm is neither sha256 nor sha512");
        };
        let good = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if hex.len() != algorithm.length() || !hex.bytes().all(good) {
            return wrong("its sum has not the right form");
        }
        Ok(Self { algorithm, hex: hex.to_owned() })
    }
}

impl TryFrom<String> for Digest {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.hex)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A sum in the making.
#[derive(Clone)]
pub enum Hasher {
    /// SHA-256.
    Sha256(Sha256),
    /// SHA-512.
    Sha512(Sha512),
}

impl Hasher {
    /// A SHA-256: what is used wherever we choose.
    pub fn new() -> Self {
        Self::Sha256(Sha256::new())
    }

    /// Takes more bytes in.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(sum) => sum.update(bytes),
            Self::Sha512(sum) => sum.update(bytes),
        }
    }

    /// The digest of all bytes so far.
    pub fn finish(self) -> Digest {
        match self {
            Self::Sha256(sum) => Digest { algorithm: Algorithm::Sha256, hex: hex(&sum.finalize()) },
            Self::Sha512(sum) => Digest { algorithm: Algorithm::Sha512, hex: hex(&sum.finalize()) },
        }
    }
}

impl Default for Hasher {
    fn default() -> Self {
        Self::new()
    }
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn sums_are_those_of_sha256sum_and_sha512sum() {
        assert_eq!(Digest::of(b"").to_string(), EMPTY);
        let long = format!("sha512:{}", "0".repeat(128)).parse::<Digest>().unwrap();
        let sum = long.hasher().finish();
        assert!(sum.to_string().starts_with("sha512:cf83e1357eefb8bdf1542850d66d8007d620e4050b57"));
    }

    #[test]
    fn only_what_is_well_formed_is_a_digest() {
        assert_eq!(EMPTY.parse::<Digest>().unwrap().to_string(), EMPTY);
        let hex = &EMPTY[7..];
        for wrong in [
            String::new(),
            hex.to_owned(),
            "sha256:".to_owned(),
            format!("sha256:{}", &hex[1..]),
            format!("sha256:{hex}0"),
            format!("sha256:{}", hex.to_uppercase()),
            format!("sha256:../{}", &hex[3..]),
            format!("sha256:{}/", &hex[1..]),
            format!("sha512:{hex}"),
            format!("md5:{hex}"),
            format!("sha256 :{hex}"),
            format!("sha256:{}é", &hex[2..]),
        ] {
            assert!(wrong.parse::<Digest>().is_err(), "{wrong}");
            assert!(serde_json::from_value::<Digest>(wrong.into()).is_err());
        }
    }
}
