package weft.bridge;

import java.io.IOException;
import weft.proto.BlockProto.Reason;

/** The daemon is there, and does not want this session or is of no use for it; the message says why and what to do. */
public final class Refused extends IOException {
  private static final long serialVersionUID = 1;

  /** With which blocks fail for the want of a session. */
  final Reason reason;

  Refused(String detail) {
    super("the daemon refused the session: " + detail);
    this.reason = Reason.REASON_DAEMON_GONE;
  }

  private Refused(Reason reason, String message) {
    super(message);
    this.reason = reason;
  }

  static Refused doesNotEncrypt(String version) {
    return new Refused(
        Reason.REASON_ENCRYPTED,
        "it does not encrypt what it sends to other daemons, as this application's blocks have to be (it is weft " + version + ")");
  }
}
