// How jemalloc is to behave; it looks for this name when the process starts.

// Two arenas, as two threads of a node do most of the work: each keeps pages of its own. What was
// freed goes back to the system within two seconds, also when the node has nothing to do: a thread
// that sleeps otherwise sees to it.
extern "C" {
extern const char* malloc_conf;
const char* malloc_conf = "narenas:2,dirty_decay_ms:2000,muzzy_decay_ms:0,background_thread:true";
}
