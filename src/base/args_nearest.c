/* "Did you mean": the words with the fewest edits; see args.h. The distance is optimal string alignment (insert,
 * delete, replace, swap of neighbours; each piece of text edited once), capitals and small letters being the same.
 * Source: Damerau, CACM 7(3), 1964; Wagner and Fischer, JACM 21(1), 1974. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/args.h"

enum { LONGEST = 63, SHOWN = 3, OTHERS = 1 << 10 }; /* OTHERS: the rank from which on words are not near */

static bool same(char a, char b) {
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static int least(int a, int b) {
    return a < b ? a : b;
}

static int distance(const char *a, const char *b) {
    size_t n = strnlen(a, LONGEST), m = strnlen(b, LONGEST);
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

/* Near: at most two edits or a third of the letters, and something of the word is left; or it begins as `given`. */
static bool is_near(const char *given, const char *word, int edits) {
    int length = (int)strlen(given);
    bool begins = length >= 3 && strncasecmp(given, word, (size_t)length) == 0;
    return begins || (edits < length && edits <= (length / 3 > 2 ? length / 3 : 2));
}

/* Letters of the longest piece that both have. */
static int common(const char *a, const char *b) {
    int longest = 0;
    for (const char *at = a; *at; at++)
        for (const char *from = b; *from; from++) {
            int length = 0;
            while (at[length] && from[length] && same(at[length], from[length])) length++;
            if (length > longest) longest = length;
        }
    return longest;
}

/* Smaller is nearer: first the words that are near, by edits; then the others, by what they have in common with
 * `given`, and by edits where they have as much. */
static int rank_of(const char *given, const char *word) {
    int edits = distance(given, word);
    if (!is_near(given, word, edits)) return OTHERS + (LONGEST - common(given, word)) * (LONGEST + 1) + edits;
    return edits == 0 || strncasecmp(given, word, strlen(given)) != 0 ? edits : 1; /* its beginning is one edit away */
}

/* Inserts a word into the nearest found so far, if it is one of them; earlier words before later ones of equal rank. */
static int insert(const char *words[SHOWN], int ranks[SHOWN], int count, const char *word, int rank) {
    int at = count;
    while (at > 0 && ranks[at - 1] > rank) at--;
    if (at == SHOWN) return count;
    if (count < SHOWN) count++;
    for (int i = count - 1; i > at; i--) words[i] = words[i - 1], ranks[i] = ranks[i - 1];
    words[at] = word, ranks[at] = rank;
    return count;
}

char *cb_args_suggest(const char *given, const char *const *words, char out[256]) {
    const char *nearest[SHOWN];
    char start[LONGEST + 1];
    int ranks[SHOWN], count = 0, used = 0;
    snprintf(start, sizeof start, "%s", given);
    for (; *words && *given; words++) count = insert(nearest, ranks, count, *words, rank_of(start, *words));
    bool near = count > 0 && ranks[0] < OTHERS;
    while (near && ranks[count - 1] >= OTHERS) count--;
    for (int i = 0; i < count; i++) {
        const char *first = near ? "; did you mean " : count > 1 ? "; the nearest are " : "; the nearest is ";
        const char *before = i == 0 ? first : i < count - 1 ? ", " : near ? " or " : " and ";
        used += snprintf(out + used, 256 - (size_t)used, "%s'%.63s'", before, nearest[i]);
    }
    snprintf(out + used, 256 - (size_t)used, near ? "?" : ".");
    return out;
}
