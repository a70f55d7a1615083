// The camera, on and off as the state says; its live picture goes to video elements.

/** By the names of the browser's errors, with what helps. */
const REASONS = {
  NotAllowedError: `it is not allowed for this page. Allow it with the symbol beside the page's address, on a phone \
also among the browser's permissions, and press Camera again; or take pictures with another program and open the files`,
  NotFoundError: 'there is none. Pictures from files do as well',
  NotReadableError: 'another program seems to use it. End that one and press Camera again, or open pictures from files',
};

/** Follows the store; gives `takeFrame`, the picture of the moment as an ImageBitmap. */
export function startCamera({ store, videos }) {
  const { dispatch, follow } = store;
  let stream;
  let opening = false;

  const isWanted = () => ['starting', 'live'].includes(store.state.camera.phase);

  async function open() {
    opening = true;
    try {
      if (!navigator.mediaDevices) throw new Error('this browser gives pages no camera, or only over https');
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
      stream.getVideoTracks()[0].onended = () => dispatch({ type: 'camera stopped' });
      for (const video of videos) video.srcObject = stream;
      await Promise.all(videos.map((video) => video.play()));
      if (isWanted()) dispatch({ type: 'camera live' });
    } catch (error) {
      if (isWanted()) dispatch({ type: 'camera refused', reason: REASONS[error.name] ?? error.message });
    } finally {
      opening = false;
      if (!isWanted()) close();
    }
  }

  function close() {
    for (const track of stream?.getTracks() ?? []) track.stop();
    stream = undefined;
    for (const video of videos) video.srcObject = null;
  }

  follow(({ camera }) => {
    if (opening) return;
    if (camera.phase === 'starting' && !stream) open();
    else if (stream && !isWanted()) close();
  });

  return async function takeFrame() {
    while (document.hidden)
      await new Promise((resolve) => document.addEventListener('visibilitychange', resolve, { once: true }));
    // Browsers may let those rest that nobody sees.
    return createImageBitmap(videos.find((video) => video.offsetParent) ?? videos[0]);
  };
}
