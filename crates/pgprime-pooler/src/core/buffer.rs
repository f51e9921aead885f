//! Output buffers that exist only while bytes are on their way.

/// A spare buffer is kept for reuse up to this capacity; a larger one is given back to the allocator.
const SPARE_BYTES_MAX: usize = 64 * 1024;
/// Spare buffers kept by a worker.
const SPARES_MAX: usize = 256;

/// A worker's spare buffers. An idle connection holds none of them.
#[derive(Debug)]
pub(crate) struct BufferPool {
    spares: Vec<Vec<u8>>,
    capacity: usize,
}

impl BufferPool {
    /// New buffers start with `capacity` bytes (`pkt_buf`).
    pub(crate) fn new(capacity: usize) -> Self {
        Self { spares: Vec::new(), capacity }
    }

    fn take(&mut self) -> Vec<u8> {
        self.spares.pop().unwrap_or_else(|| Vec::with_capacity(self.capacity))
    }

    fn put(&mut self, mut buffer: Vec<u8>) {
        if buffer.capacity() <= SPARE_BYTES_MAX && self.spares.len() < SPARES_MAX {
            buffer.clear();
            self.spares.push(buffer);
        }
    }
}

/// Bytes waiting to be written to one socket.
#[derive(Debug, Default)]
pub struct Output {
    buffer: Vec<u8>,
    written: usize,
}

impl Output {
    /// The bytes still to be written.
    pub fn bytes(&self) -> &[u8] {
        self.buffer.get(self.written..).unwrap_or_default()
    }

    /// How many bytes are still to be written.
    pub fn len(&self) -> usize {
        self.buffer.len() - self.written
    }

    /// Whether everything has been written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The buffer to append to, borrowed from the pool on first use.
    pub(crate) fn writer(&mut self, pool: &mut BufferPool) -> &mut Vec<u8> {
        if self.buffer.capacity() == 0 {
            self.buffer = pool.take();
        }
        &mut self.buffer
    }

    /// Notes that the first `count` bytes have been written; gives the buffer back when that was all.
    pub(crate) fn advance(&mut self, count: usize, pool: &mut BufferPool) {
        self.written = (self.written + count).min(self.buffer.len());
        if self.is_empty() {
            pool.put(std::mem::take(&mut self.buffer));
            self.written = 0;
        } else if self.written > SPARE_BYTES_MAX {
            self.buffer.drain(..self.written);
            self.written = 0;
        }
    }
}
