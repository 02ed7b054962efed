/**
 * Mode auto: the daemon's binary out of the jar, and its start. Refuses to run anything that another user could have put there,
 * and to wait for or look after the daemon once it runs: it looks after itself.
 */
package weft.daemon;
