/* "Did you mean": the word with the fewest edits; see args.h. The distance is optimal string alignment (insert, delete,
 * replace, swap of neighbours; each piece of text edited once), capitals and small letters being the same. Source:
 * Damerau, CACM 7(3), 1964; Wagner and Fischer, JACM 21(1), 1974. */
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/args.h"

enum { LONGEST = 63, FAR = INT_MAX };

static bool same(char a, char b) {
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static int least(int a, int b) {
    return a < b ? a : b;
}

static int distance(const char *a, const char *b) {
    size_t n = strlen(a), m = strlen(b);
    if (n > LONGEST || m > LONGEST) return FAR;
    int d[LONGEST + 1][LONGEST + 1]; /* (n + 1, m + 1) */
    for (size_t i = 0; i <= n; i++) d[i][0] = (int)i;
    for (size_t j = 0; j <= m; j++) d[0][j] = (int)j;
    for (size_t i = 1; i <= n; i++)
        for (size_t j = 1; j <= m; j++) {
            int replace = d[i - 1][j - 1] + !same(a[i - 1], b[j - 1]);
            d[i][j] = least(replace, least(d[i - 1][j], d[i][j - 1]) + 1);
            if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]))
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    return d[n][m];
}

/* Near: at most two edits or a third of the letters, and something of the word is left. */
static bool near(int edits, const char *given) {
    int length = (int)strlen(given);
    return edits < length && edits <= (length / 3 > 2 ? length / 3 : 2);
}

const char *cb_args_nearest(const char *given, const char *const *words) {
    const char *nearest = NULL, *longer = NULL;
    int fewest = FAR;
    for (; *words; words++) {
        int edits = distance(given, *words);
        if (edits < fewest) fewest = edits, nearest = *words;
        if (!longer && strlen(given) >= 3 && strncasecmp(given, *words, strlen(given)) == 0) longer = *words;
    }
    return nearest && near(fewest, given) ? nearest : longer; /* else the first word that continues it */
}

/* Inserts a word into the nearest found so far, if it is one of them; earlier words before later ones of equal edits.
 */
static int insert(const char *words[3], int edits[3], int count, const char *word, int its_edits) {
    int at = count;
    while (at > 0 && edits[at - 1] > its_edits) at--;
    if (at == 3) return count;
    if (count < 3) count++;
    for (int i = count - 1; i > at; i--) words[i] = words[i - 1], edits[i] = edits[i - 1];
    words[at] = word, edits[at] = its_edits;
    return count;
}

/* A word that begins as `given` does is as near as one edit. */
static int edits_to(const char *given, const char *word) {
    int edits = distance(given, word);
    if (strlen(given) >= 3 && strncasecmp(given, word, strlen(given)) == 0 && edits > 1) return 1;
    return near(edits, given) ? edits : FAR;
}

char *cb_args_suggest(const char *given, const char *const *words, char out[256]) {
    const char *nearest[3];
    int edits[3], count = 0;
    for (; *words; words++) {
        int its_edits = edits_to(given, *words);
        if (its_edits != FAR) count = insert(nearest, edits, count, *words, its_edits);
    }
    out[0] = 0;
    int used = 0;
    for (int i = 0; i < count && used < 256; i++) {
        const char *before = i == 0 ? "; did you mean " : i == count - 1 ? " or " : ", ";
        used += snprintf(out + used, 256 - (size_t)used, "%s'%.63s'", before, nearest[i]);
    }
    if (count > 0 && used < 255) snprintf(out + used, 256 - (size_t)used, "?");
    return out;
}
