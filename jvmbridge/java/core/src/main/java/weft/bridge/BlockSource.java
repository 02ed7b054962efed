package weft.bridge;

import java.io.IOException;
import java.nio.ByteBuffer;

/** Where the blocks of this executor come from when the daemon asks for one. Called on worker threads, never on the event loop. */
public interface BlockSource {
  /**
   * Opens a block as it is at this moment.
   *
   * @throws NotFound when this executor does not have it
   */
  Block open(String name) throws IOException;

  /** An open block. Used by one thread at a time. */
  interface Block {
    long length();

    /** The file range that the block is, or null when it is none. */
    FileRange file();

    /** Copies all bytes into {@code to}, which has room for just these. May be called more than once. */
    void copyTo(ByteBuffer to) throws IOException;

    /** Ends it; called once. */
    void close();
  }

  /** A range of a file below the executor's local directories. */
  final class FileRange {
    final String path;
    final long offset;
    final long length;

    public FileRange(String path, long offset, long length) {
      this.path = path;
      this.offset = offset;
      this.length = length;
    }
  }

  /** The executor does not have the block. */
  final class NotFound extends IOException {
    private static final long serialVersionUID = 1;

    public NotFound(String message, Throwable cause) {
      super(message, cause);
    }
  }
}
