//! JSON within bounds.

use serde_json::Value;

use super::error::PlanError;
use super::limits::JSON_DEPTH_MAX;

/// The first JSON value in `text`; what stands behind it is left alone.
pub(super) fn read(text: &str) -> Result<Value, PlanError> {
    check_depth(text)?;
    let mut reader = serde_json::Deserializer::from_str(text);
    // Plans nest deeper than serde_json allows by itself; the depth has been checked.
    reader.disable_recursion_limit();
    let mut values = reader.into_iter::<Value>();
    let error = |line, column, message: String| PlanError::Json { line, column, message };
    match values.next() {
        Some(Ok(value)) => Ok(value),
        Some(Err(problem)) => {
            let message = problem.to_string();
            let message = message.split(" at line ").next().unwrap_or_default().to_owned();
            Err(error(problem.line(), problem.column(), message))
        }
        None => Err(error(1, 1, "expected a value".to_owned())),
    }
}

fn check_depth(text: &str) -> Result<(), PlanError> {
    let (mut depth, mut line, mut is_string, mut is_escaped) = (0_usize, 1, false, false);
    for byte in text.bytes() {
        line += usize::from(byte == b'\n');
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_string => is_escaped = true,
            b'"' => is_string = !is_string,
            b'[' | b'{' if !is_string => depth += 1,
            b']' | b'}' if !is_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > JSON_DEPTH_MAX {
            return Err(PlanError::TooDeep { line });
        }
    }
    Ok(())
}
