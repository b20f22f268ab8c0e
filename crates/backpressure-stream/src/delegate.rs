//! Methods that every adapter forwards to the stream inside.

/// Access to the stream inside, and its [`Sink`](futures_sink::Sink) half if it has one.
macro_rules! delegate {
    ($adapter:ident < $stream:ident $(, $other:ident)* > $(where $($bounds:tt)+)?) => {
        impl<$stream $(, $other)*> $adapter<$stream $(, $other)*>
        where
            $stream: futures_core::Stream,
            $($($bounds)+)?
        {
            /// The stream inside.
            pub const fn get_ref(&self) -> &$stream {
                self.upstream.get_ref()
            }

            /// The stream inside. What is taken from it directly overtakes what the adapter holds.
            pub const fn get_mut(&mut self) -> &mut $stream {
                self.upstream.get_mut()
            }

            /// The stream inside, pinned. What is taken from it directly overtakes what the adapter holds.
            pub fn get_pin_mut(self: std::pin::Pin<&mut Self>) -> std::pin::Pin<&mut $stream> {
                self.project().upstream.get_pin_mut()
            }
        }

        impl<$stream $(, $other)*, Item> futures_sink::Sink<Item> for $adapter<$stream $(, $other)*>
        where
            $stream: futures_core::Stream + futures_sink::Sink<Item>,
            $($($bounds)+)?
        {
            type Error = <$stream as futures_sink::Sink<Item>>::Error;

            fn poll_ready(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Result<(), Self::Error>> {
                self.project().upstream.get_pin_mut().poll_ready(cx)
            }

            fn start_send(self: std::pin::Pin<&mut Self>, item: Item) -> Result<(), Self::Error> {
                self.project().upstream.get_pin_mut().start_send(item)
            }

            fn poll_flush(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Result<(), Self::Error>> {
                self.project().upstream.get_pin_mut().poll_flush(cx)
            }

            fn poll_close(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Result<(), Self::Error>> {
                self.project().upstream.get_pin_mut().poll_close(cx)
            }
        }
    };
}

pub(crate) use delegate;
