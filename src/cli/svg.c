/* Primitives of pictures; see svg.h. */
#include "cli/svg.h"

const char *cb_svg_colour(int i) {
    static const char *const colours[CB_SVG_COLOURS] = {"#1f6fb2", "#d1495b", "#2a9d5c", "#e08a1e",
                                                        "#7b4ea3", "#14909b", "#8a5a2b", "#d65db1",
                                                        "#5b6875", "#9aa32a", "#34495e", "#b23a0e"};
    return colours[i % CB_SVG_COLOURS];
}

void cb_svg_begin(FILE *to, double width, double height) {
    fprintf(to,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" height=\"%.0f\">\n"
            "<style>text{font-family:'Inter','Helvetica Neue',Helvetica,Arial,'DejaVu Sans',sans-serif;fill:#24303c;"
            "font-size:12px}.h{font-size:15px;font-weight:600}.s{fill:#5b6875;font-size:11px}</style>\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n",
            width, height, width, height);
}

void cb_svg_end(FILE *to) {
    fputs("</svg>\n", to);
}

void cb_svg_text(FILE *to, const char *class, char anchor, double x, double y, const char *text) {
    const char *anchors = anchor == 'm' ? "middle" : anchor == 'e' ? "end" : "start";
    fprintf(to, "<text class=\"%s\" text-anchor=\"%s\" x=\"%.1f\" y=\"%.1f\">", class, anchors, x, y);
    for (; *text; text++) {
        if (*text == '<' || *text == '&')
            fprintf(to, "&#%d;", *text);
        else if ((unsigned char)*text >= 32)
            fputc(*text, to);
    }
    fputs("</text>\n", to);
}

void cb_svg_line(FILE *to, double x1, double y1, double x2, double y2, const char *colour, const char *style) {
    fprintf(to, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" %s/>\n", x1, y1, x2, y2, colour,
            style);
}
