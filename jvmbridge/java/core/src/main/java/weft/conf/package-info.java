/**
 * The keys {@code spark.weft.*}: each declared once, with type, default and meaning, and the settings they make. Reads no
 * environment but the socket directory's default, and knows nothing of the daemon's own options except that they exist.
 */
package weft.conf;
