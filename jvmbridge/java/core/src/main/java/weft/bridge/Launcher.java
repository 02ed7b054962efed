package weft.bridge;

import java.io.IOException;

/** Starts a daemon where none answers. Called on the bridge's own thread. */
public interface Launcher {
  /** For mode external: starts nothing. */
  Launcher NONE = () -> {};

  /**
   * Begins to start the daemon, and returns without waiting for it. Called again while it does not answer; starts at most one.
   *
   * @throws IOException when it cannot be started or has failed; the message says what to do
   */
  void launch() throws IOException;
}
