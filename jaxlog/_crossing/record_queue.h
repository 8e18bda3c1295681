// The queue between compiled programs and Python: many producers, one consumer, bounded in bytes.
//
// A linked list: Dmitry Vyukov's intrusive MPSC queue. A producer, a thread of XLA's, allocates a
// node, copies the words and exchanges one pointer; it takes no lock, unless the consumer sleeps or
// the queue is full. Where it is full, a producer waits, as long as the consumer makes progress.

#ifndef JAXLOG_RECORD_QUEUE_H_
#define JAXLOG_RECORD_QUEUE_H_

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_STOPPED = 64, MAX_REFUSED = 64, HEADER_WORDS = 4, AXES = 3 };
enum { MAX_SPARE = 4 };

typedef struct Node {
  _Atomic(struct Node *) next;
  double time;   // seconds since the epoch, when the record arrived
  size_t bytes;  // of `words`
  size_t room;   // for so many bytes
  uint32_t words[];
} Node;

// A part of a delivery; the first one holds the header and the due bits.
typedef struct {
  const uint32_t *words;
  size_t bytes;
} Part;

typedef struct {
  uint32_t handle;
  uint64_t records;
} Refused;

static Node stub;
static _Atomic(Node *) newest = &stub;  // producers append here
static Node *oldest = &stub;            // the consumer's end

static atomic_ullong announced;      // deliveries whose producer has begun
static atomic_ullong finished;       // deliveries that Python has handled
static atomic_size_t waiting_bytes;  // of the deliveries that are not finished
static size_t limit = 16 << 20;      // how many bytes may wait
static double patience = 600.0;      // seconds without progress after which a delivery is refused
static atomic_bool retired;          // the process ends

static pthread_mutex_t mutex;
static pthread_cond_t arrived, progressed;
static atomic_bool asleep;   // the consumer waits for `arrived`
static atomic_int awaited;   // how many threads wait until all is finished

static atomic_uint num_stopped;  // programs that log for these handles are stopped at their next record
static _Atomic uint32_t stopped[MAX_STOPPED];

static atomic_uint num_refused;  // deliveries that nobody took in time, by handle
static Refused refused[MAX_REFUSED];

// Large nodes are used again: for new memory the system clears each page while the program waits.
static _Atomic(Node *) spare[MAX_SPARE];
static size_t least_spare = 64 << 10;  // in bytes

static double seconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static struct timespec timespec_of(double seconds) {
  time_t whole = (time_t)seconds;
  return (struct timespec){whole, (long)(1e9 * (seconds - (double)whole))};
}

// Waits for a condition; the mutex is held. Returns after `timeout` seconds at the latest, whatever
// happens to the wall clock.
static void wait_for(pthread_cond_t *condition, double timeout) {
#ifdef __APPLE__
  struct timespec relative = timespec_of(timeout);
  pthread_cond_timedwait_relative_np(condition, &mutex, &relative);
#else
  struct timespec until = timespec_of(seconds(CLOCK_MONOTONIC) + timeout);
  pthread_cond_timedwait(condition, &mutex, &until);
#endif
}

// A node with room for so many bytes, or NULL where there is no memory.
static Node *new_node(size_t bytes) {
  for (int i = 0; bytes >= least_spare && i < MAX_SPARE; i++) {
    Node *node = atomic_exchange(&spare[i], NULL);
    if (node && node->room >= bytes) return node;
    free(node);
  }
  Node *node = malloc(sizeof(Node) + bytes);
  if (node) node->room = bytes;
  return node;
}

// Gives a node back. All spare ones together are no larger than the queue.
static void release(Node *node) {
  bool is_spare = node->room >= least_spare && node->room <= limit / MAX_SPARE;
  for (int i = 0; is_spare && i < MAX_SPARE; i++) {
    Node *none = NULL;
    if (atomic_compare_exchange_strong(&spare[i], &none, node)) return;
  }
  free(node);
}

static void append(Node *node) {
  atomic_store_explicit(&node->next, NULL, memory_order_relaxed);
  Node *before = atomic_exchange_explicit(&newest, node, memory_order_acq_rel);
  atomic_store_explicit(&before->next, node, memory_order_release);
}

// The oldest node, or NULL where there is none, or where its producer is still appending it.
static Node *pop(void) {
  Node *node = oldest, *next = atomic_load_explicit(&node->next, memory_order_acquire);
  if (node == &stub) {
    if (next == NULL) return NULL;
    oldest = node = next;
    next = atomic_load_explicit(&node->next, memory_order_acquire);
  }
  if (next == NULL) {
    if (node != atomic_load_explicit(&newest, memory_order_acquire)) return NULL;
    append(&stub);  // so that the list is never without a node
    next = atomic_load_explicit(&node->next, memory_order_acquire);
    if (next == NULL) return NULL;
  }
  oldest = next;
  return node;
}

static bool is_empty(void) { return atomic_load(&announced) == atomic_load(&finished); }

static bool is_stopped(uint32_t handle) {
  unsigned count = atomic_load_explicit(&num_stopped, memory_order_relaxed);
  for (unsigned i = 0; i < count && i < MAX_STOPPED; i++)
    if (atomic_load_explicit(&stopped[i], memory_order_relaxed) == handle) return true;
  return false;
}

// Counts a delivery that cannot be queued.
static void refuse(const uint32_t *words, size_t num_words) {
  uint64_t records = 0, lanes = 1;
  size_t axes = words[AXES] & 0xffff;
  for (size_t i = 0; i < axes; i++) lanes *= words[HEADER_WORDS + i];
  for (size_t i = 0; i < lanes && HEADER_WORDS + axes + i < num_words; i++)
    records += words[HEADER_WORDS + axes + i] != 0;
  pthread_mutex_lock(&mutex);
  unsigned count = atomic_load(&num_refused), i = 0;
  while (i < count && refused[i].handle != words[0]) i++;
  if (i == MAX_REFUSED) i = MAX_REFUSED - 1;
  if (i == count) {
    refused[i].handle = words[0];
    refused[i].records = 0;
    atomic_store(&num_refused, count + 1);
  }
  refused[i].records += records;
  pthread_mutex_unlock(&mutex);
}

// Waits until a delivery of this size has room; false where it does not get any. A program that is to
// stop needs none: this is its last record.
static bool wait_for_room(size_t bytes, uint32_t handle, bool may_stop) {
  unsigned long long seen = atomic_load(&finished);
  double since = seconds(CLOCK_MONOTONIC);
  pthread_mutex_lock(&mutex);
  bool room = false;
  for (;;) {
    size_t waiting = atomic_load(&waiting_bytes);
    room = waiting == 0 || waiting + bytes <= limit || (may_stop && is_stopped(handle));
    if (room || atomic_load(&retired)) break;
    unsigned long long now = atomic_load(&finished);
    if (now != seen) {
      seen = now;
      since = seconds(CLOCK_MONOTONIC);
    } else if (seconds(CLOCK_MONOTONIC) - since > patience) {
      break;
    }
    atomic_store(&asleep, false);
    pthread_cond_signal(&arrived);  // it may nap
    wait_for(&progressed, 0.05);
  }
  pthread_mutex_unlock(&mutex);
  return room;
}

// Queues a copy of one delivery. `may_stop` says whether the program may be stopped at it.
static void queue(const Part *parts, size_t count, bool may_stop) {
  size_t bytes = 0, copied = 0;
  for (size_t i = 0; i < count; i++) bytes += parts[i].bytes;
  size_t waiting = atomic_load_explicit(&waiting_bytes, memory_order_relaxed);
  bool room = waiting + bytes <= limit || waiting == 0 ||
              wait_for_room(bytes, parts[0].words[0], may_stop);
  Node *node = room ? new_node(bytes) : NULL;
  if (node == NULL) {
    refuse(parts[0].words, parts[0].bytes / sizeof *parts[0].words);
    return;
  }
  node->time = seconds(CLOCK_REALTIME);
  node->bytes = bytes;
  for (size_t i = 0; i < count; copied += parts[i++].bytes)
    memcpy((char *)node->words + copied, parts[i].words, parts[i].bytes);
  waiting = atomic_fetch_add_explicit(&waiting_bytes, bytes, memory_order_relaxed);
  bool fills = waiting <= limit / 2 && waiting + bytes > limit / 2;  // the consumer may nap
  atomic_fetch_add(&announced, 1);  // at the last moment: the consumer now looks for it
  append(node);
  atomic_thread_fence(memory_order_seq_cst);
  if (fills || atomic_load_explicit(&asleep, memory_order_relaxed)) {
    pthread_mutex_lock(&mutex);
    if (atomic_exchange(&asleep, false) || fills) pthread_cond_signal(&arrived);
    pthread_mutex_unlock(&mutex);
  }
}

// Waits for deliveries. At first it naps, longer and longer, and only then sleeps until a producer
// wakes it: waking a thread costs the program more than all the rest.
static void wait_for_arrivals(double timeout, double nap, double longest_nap) {
  pthread_mutex_lock(&mutex);
  for (; nap <= longest_nap && is_empty() && !atomic_load(&retired); nap *= 2)
    wait_for(&arrived, nap);
  if (is_empty() && !atomic_load(&retired)) {
    atomic_store(&asleep, true);
    atomic_thread_fence(memory_order_seq_cst);
    if (is_empty()) wait_for(&arrived, timeout);
    atomic_store(&asleep, false);
  }
  pthread_mutex_unlock(&mutex);
}

// Says that deliveries that were taken have been handled.
static void finish(unsigned long long deliveries, size_t bytes) {
  atomic_fetch_sub(&waiting_bytes, bytes);
  atomic_fetch_add(&finished, deliveries);
  pthread_mutex_lock(&mutex);
  pthread_cond_broadcast(&progressed);
  pthread_mutex_unlock(&mutex);
}

// Waits, for some seconds at most, until this many deliveries are finished.
static bool wait_until_finished(unsigned long long target, double timeout) {
  pthread_mutex_lock(&mutex);
  atomic_fetch_add(&awaited, 1);
  atomic_store(&asleep, false);
  pthread_cond_signal(&arrived);
  if (atomic_load(&finished) < target && !atomic_load(&retired)) wait_for(&progressed, timeout);
  atomic_fetch_sub(&awaited, 1);
  pthread_mutex_unlock(&mutex);
  return atomic_load(&finished) >= target;
}

// Stops the programs that log for a handle at their next record, or no longer. The caller sees to it
// that nobody else does it at the same time.
static void set_stopped(uint32_t handle, bool on) {
  unsigned count = atomic_load(&num_stopped), i = 0;
  while (i < count && atomic_load(&stopped[i]) != handle) i++;
  if (on && i == count && count < MAX_STOPPED) {
    atomic_store(&stopped[count], handle);
    atomic_store(&num_stopped, count + 1);
  } else if (!on && i < count) {
    atomic_store(&stopped[i], atomic_load(&stopped[count - 1]));
    atomic_store(&num_stopped, count - 1);
  }
  pthread_mutex_lock(&mutex);
  pthread_cond_broadcast(&progressed);
  pthread_mutex_unlock(&mutex);
}

// Copies the counts of refused records, and begins anew; returns how many handles there are.
static unsigned take_refused(Refused *found) {
  if (!atomic_load(&num_refused)) return 0;
  pthread_mutex_lock(&mutex);
  unsigned count = atomic_exchange(&num_refused, 0);
  memcpy(found, refused, count * sizeof *found);
  pthread_mutex_unlock(&mutex);
  return count;
}

static void init_locks(void) {
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
#ifndef __APPLE__
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
#endif
  pthread_mutex_init(&mutex, NULL);
  pthread_cond_init(&arrived, &attributes);
  pthread_cond_init(&progressed, &attributes);
  pthread_condattr_destroy(&attributes);
}

// Empties the queue, in the child of a fork: its threads are gone, and may have held the lock.
static void reset_queue(void) {
  init_locks();
  atomic_store(&stub.next, NULL);
  atomic_store(&newest, &stub);
  oldest = &stub;
  atomic_store(&announced, 0);
  atomic_store(&finished, 0);
  atomic_store(&waiting_bytes, 0);
  atomic_store(&asleep, false);
  atomic_store(&awaited, 0);
  atomic_store(&retired, false);
  atomic_store(&num_stopped, 0);
  atomic_store(&num_refused, 0);
}

#endif  // JAXLOG_RECORD_QUEUE_H_
