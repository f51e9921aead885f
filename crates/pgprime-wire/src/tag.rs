//! The first byte of every message after startup. A byte's meaning depends on its direction: `D` is Describe from
//! a client and DataRow from a server.

/// Messages from a client.
pub mod frontend {
    /// Bind: make a portal of a prepared statement.
    pub const BIND: u8 = b'B';
    /// Close a statement or a portal.
    pub const CLOSE: u8 = b'C';
    /// CopyData.
    pub const COPY_DATA: u8 = b'd';
    /// CopyDone.
    pub const COPY_DONE: u8 = b'c';
    /// CopyFail.
    pub const COPY_FAIL: u8 = b'f';
    /// Describe a statement or a portal.
    pub const DESCRIBE: u8 = b'D';
    /// Execute a portal.
    pub const EXECUTE: u8 = b'E';
    /// Flush: send what is buffered.
    pub const FLUSH: u8 = b'H';
    /// FunctionCall.
    pub const FUNCTION_CALL: u8 = b'F';
    /// Parse: prepare a statement.
    pub const PARSE: u8 = b'P';
    /// Every answer to an authentication request: password, SASL initial response, SASL response, GSSAPI.
    pub const PASSWORD: u8 = b'p';
    /// Query: the simple protocol.
    pub const QUERY: u8 = b'Q';
    /// Sync: the end of an extended exchange.
    pub const SYNC: u8 = b'S';
    /// Terminate.
    pub const TERMINATE: u8 = b'X';
}

/// Messages from a server.
pub mod backend {
    /// Every authentication request, AuthenticationOk included.
    pub const AUTHENTICATION: u8 = b'R';
    /// BackendKeyData: the key for cancel requests.
    pub const BACKEND_KEY_DATA: u8 = b'K';
    /// BindComplete.
    pub const BIND_COMPLETE: u8 = b'2';
    /// CloseComplete.
    pub const CLOSE_COMPLETE: u8 = b'3';
    /// CommandComplete, with the command's tag.
    pub const COMMAND_COMPLETE: u8 = b'C';
    /// CopyBothResponse (replication only).
    pub const COPY_BOTH_RESPONSE: u8 = b'W';
    /// CopyData.
    pub const COPY_DATA: u8 = b'd';
    /// CopyDone.
    pub const COPY_DONE: u8 = b'c';
    /// CopyInResponse: the client sends data from here.
    pub const COPY_IN_RESPONSE: u8 = b'G';
    /// CopyOutResponse: data follows.
    pub const COPY_OUT_RESPONSE: u8 = b'H';
    /// DataRow.
    pub const DATA_ROW: u8 = b'D';
    /// EmptyQueryResponse: in place of CommandComplete.
    pub const EMPTY_QUERY_RESPONSE: u8 = b'I';
    /// ErrorResponse.
    pub const ERROR_RESPONSE: u8 = b'E';
    /// FunctionCallResponse.
    pub const FUNCTION_CALL_RESPONSE: u8 = b'V';
    /// NegotiateProtocolVersion.
    pub const NEGOTIATE_PROTOCOL_VERSION: u8 = b'v';
    /// NoData: the described statement returns no rows.
    pub const NO_DATA: u8 = b'n';
    /// NoticeResponse. May come at any time.
    pub const NOTICE_RESPONSE: u8 = b'N';
    /// NotificationResponse (NOTIFY). May come at any time.
    pub const NOTIFICATION_RESPONSE: u8 = b'A';
    /// ParameterDescription.
    pub const PARAMETER_DESCRIPTION: u8 = b't';
    /// ParameterStatus. May come at any time.
    pub const PARAMETER_STATUS: u8 = b'S';
    /// ParseComplete.
    pub const PARSE_COMPLETE: u8 = b'1';
    /// PortalSuspended: Execute reached its limit of rows.
    pub const PORTAL_SUSPENDED: u8 = b's';
    /// ReadyForQuery.
    pub const READY_FOR_QUERY: u8 = b'Z';
    /// RowDescription.
    pub const ROW_DESCRIPTION: u8 = b'T';
}
