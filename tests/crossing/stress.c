// Four threads push records and one takes them, under a sanitizer: each record arrives once, whole, and in
// the order in which its thread pushed it. Compiled and run by test_queue.py.

#include <stdio.h>

#include "record_queue.h"

enum { PRODUCERS = 4, RECORDS = 50000 };

static void *produce(void *argument) {
  uint32_t words[40];
  words[0] = (uint32_t)(uintptr_t)argument;  // handle
  words[AXES] = 0;                           // no lanes
  for (uint32_t i = 0; i < RECORDS; i++) {
    size_t size = HEADER_WORDS + (i * 7 + words[0]) % 36;
    words[1] = i;
    words[2] = (uint32_t)size;
    for (size_t j = HEADER_WORDS; j < size; j++) words[j] = i ^ (uint32_t)j;
    size_t first = HEADER_WORDS + i % (size - HEADER_WORDS + 1);  // the words in two parts
    Part parts[] = {{words, first * sizeof *words}, {words + first, (size - first) * sizeof *words}};
    queue(parts, 2, true);
  }
  return NULL;
}

int main(void) {
  init_locks();
  limit = 64 << 10;
  least_spare = 100;  // about half of the records take a spare node
  pthread_t threads[PRODUCERS];
  for (uintptr_t i = 0; i < PRODUCERS; i++) pthread_create(&threads[i], NULL, produce, (void *)i);
  uint32_t next[PRODUCERS] = {0};
  unsigned long long taken = 0;
  while (taken < (unsigned long long)PRODUCERS * RECORDS) {
    wait_for_arrivals(0.1, 0.0001, 0.001);
    Node *node = pop();
    if (node == NULL) continue;
    uint32_t *words = node->words, size = words[2];
    if (words[0] >= PRODUCERS || words[1] != next[words[0]]++ || node->bytes != 4 * size) {
      printf("a record of thread %u out of order: %u\n", words[0], words[1]);
      return 1;
    }
    for (uint32_t j = HEADER_WORDS; j < size; j++) {
      if (words[j] != (words[1] ^ j)) {
        printf("a record is torn\n");
        return 1;
      }
    }
    finish(1, node->bytes);
    release(node);
    taken++;
  }
  for (int i = 0; i < PRODUCERS; i++) pthread_join(threads[i], NULL);
  Refused found[MAX_REFUSED];
  if (pop() != NULL || take_refused(found) || atomic_load(&waiting_bytes)) return 1;
  printf("%llu records\n", taken);
  return 0;
}
