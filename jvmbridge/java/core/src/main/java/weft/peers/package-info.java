/**
 * Who runs which daemon: the driver's table, and each reader's cache of it. Carries no block and opens no connection; how a
 * question travels to the driver is the caller's business.
 */
package weft.peers;
