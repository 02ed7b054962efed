package weft.bridge;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.function.Consumer;

/** Where the blocks of this executor come from when the daemon asks for one. */
public interface BlockSource {
  /**
   * A copy of the block as it is at this moment, where that can be had at once. Called on the event loop, on which every fetch of this
   * executor depends, so it must neither wait nor read a file: null is always a right answer, {@link #open} then has the last word.
   *
   * @param most bytes; a longer block is not copied
   */
  default ByteBuffer tryCopy(String name, int most) {
    return null;
  }

  /**
   * Opens a block as it is at this moment. Called on a worker thread, which it may hold up.
   *
   * @throws NotFound when this executor does not have it
   */
  Block open(String name) throws IOException;

  /** An open block. Used by one thread at a time. */
  interface Block {
    long length();

    /** The file range that the block is, or null when it is none. */
    FileRange file();

    /**
     * Copies all bytes into {@code to}, which has room for just these. May be called more than once.
     *
     * @param copied is given each part of {@code to} once it is filled, in order, while the processor's cache has it
     */
    void copyTo(ByteBuffer to, Consumer<ByteBuffer> copied) throws IOException;

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
