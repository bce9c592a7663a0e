/* Loops one would write in C: no layout of its own, floats, first tiers only. */

#include <omp.h>
#include <stdint.h>
#include <stdlib.h>

void threads(int count) { omp_set_num_threads(count); }

/* Accounts whose equity is below their margin; rows stand by account, from start[a] to start[a + 1]. */
int64_t mark(int64_t accounts, const int64_t *start, const uint16_t *instrument, const double *lots,
             const double *base, const double *unit, const double *rate, uint8_t *below, int32_t *found)
{
#pragma omp parallel for schedule(static)
    for (int64_t a = 0; a < accounts; a++) {
        double profit = 0.0, needed = 0.0;
        for (int64_t r = start[a]; r < start[a + 1]; r++) {
            double value = lots[r] * unit[instrument[r]];
            profit += value;
            needed += (value < 0.0 ? -value : value) * rate[instrument[r]];
        }
        below[a] = base[a] + profit < needed;
    }
    int64_t count = 0;
    for (int64_t a = 0; a < accounts; a++)
        if (below[a]) found[count++] = (int32_t)a;
    return count;
}

struct candidate {
    double score;
    int32_t tie, at;
    int64_t lots;
};

static int by_rank(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    if (a->score != b->score) return a->score > b->score ? -1 : 1;
    return (a->tie > b->tie) - (a->tie < b->tie);
}

/* Best scores first, ties by id, until their lots reach the need. */
int64_t choose(int64_t count, const double *score, const int32_t *tie, const int64_t *lots, int64_t need,
               int32_t *chosen)
{
    struct candidate *all = malloc((size_t)count * sizeof *all);
    if (!all) return -1;
    for (int64_t i = 0; i < count; i++)
        all[i] = (struct candidate){score[i], tie[i], (int32_t)i, lots[i]};
    qsort(all, (size_t)count, sizeof *all, by_rank);
    int64_t many = 0;
    while (many < count && need > 0) {
        chosen[many] = all[many].at;
        need -= all[many++].lots;
    }
    free(all);
    return many;
}
