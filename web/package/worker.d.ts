/** Makes the worker that imports it answer to `connect` of `pcsnet/remote`. */
export {};
