/* libjpeg-turbo's decoder, row by row, for jpeg.rs.
 *
 * In C because libjpeg leaves a failed call with longjmp, which must not cross Rust's frames. It also tells here what
 * no other interface of it does: from which row on data are lost.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>
#include <jerror.h>

struct pcsnet_jpeg {
  struct jpeg_decompress_struct decoder;
  struct jpeg_error_mgr errors;
  struct jpeg_progress_mgr progress;
  jmp_buf failed;
  int most_scans;
  /* The file ends without its end mark. */
  int is_cut;
  /* Data are lost, and the rows that were whole by then. */
  int is_damaged;
  JDIMENSION whole_rows;
  char reason[JMSG_LENGTH_MAX];
};

static void on_error(j_common_ptr decoder) {
  struct pcsnet_jpeg *jpeg = decoder->client_data;
  decoder->err->format_message(decoder, jpeg->reason);
  longjmp(jpeg->failed, 1);
}

static int fail(struct pcsnet_jpeg *jpeg, const char *reason) {
  snprintf(jpeg->reason, sizeof jpeg->reason, "%s", reason);
  return -1;
}

/* Bytes too many, between markers or at the end, cost nothing of the picture; others stand for data that are lost. */
static void on_message(j_common_ptr decoder, int level) {
  struct pcsnet_jpeg *jpeg = decoder->client_data;
  if (level >= 0) return;
  switch (decoder->err->msg_code) {
    case JWRN_JPEG_EOF:
      jpeg->is_cut = 1;
      break;
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_MUST_RESYNC:
      if (!jpeg->is_damaged) jpeg->whole_rows = jpeg->decoder.output_scanline;
      jpeg->is_damaged = 1;
      break;
  }
}

static void on_progress(j_common_ptr decoder) {
  struct pcsnet_jpeg *jpeg = decoder->client_data;
  if (jpeg->decoder.input_scan_number > jpeg->most_scans) {
    fail(jpeg, "it has more scans than any program writes, which takes minutes to decode");
    longjmp(jpeg->failed, 1);
  }
}

/* A decoder of `bytes`, which must outlive it; null without memory. */
struct pcsnet_jpeg *pcsnet_jpeg_new(const unsigned char *bytes, unsigned long length, int most_scans) {
  /* `volatile`, for its value must be there after a longjmp. */
  struct pcsnet_jpeg *volatile jpeg = calloc(1, sizeof *jpeg);
  if (!jpeg) return NULL;
  jpeg->most_scans = most_scans;
  jpeg->decoder.err = jpeg_std_error(&jpeg->errors);
  jpeg->errors.error_exit = on_error;
  jpeg->errors.emit_message = on_message;
  jpeg->decoder.client_data = jpeg;
  if (setjmp(jpeg->failed)) {
    free(jpeg);
    return NULL;
  }
  jpeg_create_decompress(&jpeg->decoder);
  /* Creating clears what was set before, but for these two. */
  jpeg->decoder.client_data = jpeg;
  jpeg->progress.progress_monitor = on_progress;
  jpeg->decoder.progress = &jpeg->progress;
  jpeg_mem_src(&jpeg->decoder, bytes, length);
  return jpeg;
}

void pcsnet_jpeg_free(struct pcsnet_jpeg *jpeg) {
  jpeg_destroy_decompress(&jpeg->decoder);
  free(jpeg);
}

const char *pcsnet_jpeg_reason(const struct pcsnet_jpeg *jpeg) { return jpeg->reason; }

/* Reads the header; `channels` is 3 for RGB and 4 for CMYK. Not 0 on failure. */
int pcsnet_jpeg_header(struct pcsnet_jpeg *jpeg, unsigned *width, unsigned *height, unsigned *channels) {
  if (setjmp(jpeg->failed)) return -1;
  jpeg_read_header(&jpeg->decoder, TRUE);
  int is_cmyk = jpeg->decoder.jpeg_color_space == JCS_CMYK || jpeg->decoder.jpeg_color_space == JCS_YCCK;
  jpeg->decoder.out_color_space = is_cmyk ? JCS_CMYK : JCS_RGB;
  *width = jpeg->decoder.image_width;
  *height = jpeg->decoder.image_height;
  *channels = is_cmyk ? 4 : 3;
  return 0;
}

/* Whether all of a picture of several scans came, though its end mark did not. */
static int is_complete(const struct jpeg_decompress_struct *decoder) {
  if (!decoder->progressive_mode) return 0;
  for (int component = 0; component < decoder->num_components; component++)
    for (int coefficient = 0; coefficient < DCTSIZE2; coefficient++)
      if (decoder->coef_bits[component][coefficient] != 0) return 0;
  return 1;
}

/* Decodes into width * height * channels bytes. `whole_rows` gets the rows before the first that lost data. Not 0 on
 * failure. The transform and the upsampling are the defaults, the accurate ones, as in Pillow. */
int pcsnet_jpeg_rows(struct pcsnet_jpeg *jpeg, unsigned char *pixels, unsigned *whole_rows) {
  struct jpeg_decompress_struct *decoder = &jpeg->decoder;
  if (setjmp(jpeg->failed)) return -1;
  int has_scans = jpeg_has_multiple_scans(decoder);
  jpeg_start_decompress(decoder);
  if (has_scans && (jpeg->is_damaged || (jpeg->is_cut && !is_complete(decoder))))
    return fail(jpeg, "it is cut short or damaged, and as it is stored in several scans, all of it is affected");
  size_t stride = (size_t)decoder->output_width * decoder->output_components;
  while (decoder->output_scanline < decoder->output_height) {
    JSAMPROW row = pixels + stride * decoder->output_scanline;
    jpeg_read_scanlines(decoder, &row, 1);
  }
  *whole_rows = jpeg->is_damaged ? jpeg->whole_rows : decoder->output_height;
  return 0;
}
