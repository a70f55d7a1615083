/**
 * A URL of the default model, which finds defects on drawn flanges: to try the package with, see `DEFAULT-MODEL.md`.
 * Its content is in the URL (3.7 MB); `pcsnet/default.safetensors` names the same as a file, to be served as one's
 * bundler does it.
 */
declare const url: string;
export default url;
