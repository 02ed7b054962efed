package weft.bridge;

import java.io.IOException;

/** The daemon is there and does not want this session; the message says why and what to do. */
public final class Refused extends IOException {
  private static final long serialVersionUID = 1;

  Refused(String detail) {
    super("the daemon refused the session: " + detail);
  }
}
