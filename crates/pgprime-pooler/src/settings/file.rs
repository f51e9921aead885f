//! Reading a configuration file whole, within bounds.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// No configuration is larger; a path to a device or a dump by mistake ends here instead of filling the memory.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The text of a file, without a byte order mark. Fails on more than 64 MiB and on anything but UTF-8; the error
/// names the line.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(invalid(format!("larger than {FILE_BYTES_MAX} bytes; is it the right file?")));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes().iter().take(valid).filter(|byte| **byte == b'\n').count();
        invalid(format!("line {line} is not UTF-8 text; save the file in that encoding"))
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_text_of_bounded_size_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let check = |content: &[u8], expected: Result<&str, &str>| {
            let path = folder.path().join("file");
            std::fs::write(&path, content).unwrap();
            let found = read_text(&path).map_err(|error| error.to_string());
            assert_eq!(found.as_deref().map_err(String::as_str), expected);
        };
        check(b"a = 1\n", Ok("a = 1\n"));
        check(b"\xef\xbb\xbfa", Ok("a"));
        check(b"a\nb\n\xff\xfe\n", Err("line 3 is not UTF-8 text; save the file in that encoding"));
        assert!(read_text(folder.path()).is_err(), "a folder");
        #[cfg(target_os = "linux")]
        {
            let endless = read_text(Path::new("/dev/zero")).unwrap_err();
            assert!(endless.to_string().starts_with("larger than"), "{endless}");
        }
    }
}
